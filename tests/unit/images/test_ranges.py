"""A blob that broke off: whatever a registry has against a range, the blob comes whole."""

from __future__ import annotations

import pytest

from reconciler import errors
from reconciler.drivers.registry import base, client
from reconciler.model import references
from reconciler.testing import images
from reconciler.testing.registry_hostile import Handler, HostileServer, Request

DATA = bytes(range(256)) * 40
BLOB = base.Descriptor("application/octet-stream", images.digest(DATA), len(DATA))
HAD, LAST = 1000, len(DATA) - 1


def fetch(server: HostileServer, offset: int = HAD) -> bytes:
    found = bytearray()
    client.RegistryClient().fetch(references.parse(f"{server.address}/x"), BLOB, offset, found.extend)
    return bytes(found)


def serve(server: HostileServer, to_a_range: Handler, whole: Handler | None = None) -> None:
    """``whole`` answers requests without a range; by default it sends everything."""

    def handle(request: Request) -> None:
        if "Range" in request.headers:
            to_a_range(request)
        elif whole is not None:
            whole(request)
        else:
            request.reply(200, DATA)

    server.handlers[f"/v2/x/blobs/{BLOB.digest}"] = handle


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 406, 409, 412, 416, 500, 501, 502, 504, 204, 205, 304])
def test_a_refused_range(server: HostileServer, status: int) -> None:
    challenge = {"WWW_Authenticate": f'Bearer realm="http://{server.address}/token"'} if status == 401 else {}
    server.answer("/token", b'{"token":"abc"}')
    serve(server, lambda request: request.reply(status, b"", None, **challenge))
    assert fetch(server) == DATA[HAD:]


@pytest.mark.parametrize(
    "said",
    ["", "bytes", f"bytes */{len(DATA)}", f"bytes 0-{LAST}/{len(DATA)}", f"bytes {HAD}-{LAST - 1}/{len(DATA)}",
     f"bytes {HAD}-{LAST}/{len(DATA) + 1}", f"bytes {HAD + 1}-{LAST}/{len(DATA)}", f"bytes {HAD}-/{len(DATA)}",
     f"lines {HAD}-{LAST}/{len(DATA)}", f"bytes -{HAD}-{LAST}/*", "\u00b2"],
)  # fmt: skip
def test_a_part_that_is_not_the_rest(server: HostileServer, said: str) -> None:
    serve(server, lambda request: request.reply(206, DATA[HAD:], None, **({"Content_Range": said} if said else {})))
    assert fetch(server) == DATA[HAD:]


@pytest.mark.parametrize(
    "form", ["bytes {}-{}/{}", "Bytes  {}-{}/{}", "bytes {}-{}/*", "bytes={}-{}/{}", "bytes {} - {} / {}"]
)
def test_the_rest_in_several_words(server: HostileServer, form: str) -> None:
    said = form.format(HAD, LAST, len(DATA))
    serve(
        server, lambda request: request.reply(206, DATA[HAD:], Content_Range=said), lambda request: request.reply(500)
    )
    assert fetch(server) == DATA[HAD:]
    assert len(server.seen) == 1


def test_parts_in_many_pieces_are_not_taken(server: HostileServer) -> None:
    kind = "multipart/byteranges; boundary=x"
    serve(server, lambda request: request.reply(206, b"--x\r\n", Content_Type=kind))
    assert fetch(server) == DATA[HAD:]


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_registry_is_left_alone(server: HostileServer, status: int) -> None:
    serve(server, lambda request: request.reply(status, b"", Retry_After="7"))
    with pytest.raises(errors.Temporary) as caught:
        fetch(server)
    assert caught.value.delay >= 7
    assert len(server.seen) == 1


def test_what_the_whole_blob_is_refused_with_is_told(server: HostileServer) -> None:
    serve(server, lambda request: request.reply(416), lambda request: request.reply(404))
    with pytest.raises(errors.NotFound):
        fetch(server)


def test_a_blob_that_was_not_begun_is_asked_for_without_a_range(server: HostileServer) -> None:
    serve(server, lambda request: request.reply(500))
    assert fetch(server, 0) == DATA
    assert len(server.seen) == 1


@pytest.mark.parametrize("length", [len(DATA) - 1, len(DATA) + 1])
def test_a_whole_blob_of_another_size_is_refused(server: HostileServer, length: int) -> None:
    body = (DATA + b"x")[:length]
    serve(server, lambda request: request.reply(416), lambda request: request.reply(200, body))
    with pytest.raises(errors.Permanent, match="it announces"):
        fetch(server)
