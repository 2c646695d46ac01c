"""Whole pulls from registries that are broken, busy or malicious: each ends with a clear sentence, or well; the store
is clean, and an honest pull of the same reference gives the right tree."""

from __future__ import annotations

import dataclasses
import email.utils
import json
import os
import pathlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from reconciler import errors
from reconciler.drivers.registry import manifests
from reconciler.testing import graph_tars as tars
from reconciler.testing import images, pulling, registry_hostile
from reconciler.testing.pulling import Puller
from reconciler.testing.registry_hostile import HostileServer, Request

LAYER = tars.archive([tars.directory(b"etc"), tars.Member(b"etc/f", b"content" * 30_000), tars.symlink(b"l", b"etc/f")])
TREE = {".", "etc", "etc/f", "l"}
IMAGE = images.build([LAYER], packing="plain")
MANIFEST = "/v2/x/manifests/latest"
LIMITS = ("max-layer-bytes=8Mi", "max-layer-entries=100")

Behave = Callable[[HostileServer], None]


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with registry_hostile.hostile() as found:
        yield found


@pytest.fixture
def puller(tmp_path: pathlib.Path) -> Iterator[Puller]:
    found = Puller(tmp_path / "pulls", patience=0.5, limits=LIMITS)
    yield found
    found.close()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    return pulling.pauses(monkeypatch)


# what a server does


def blob(image: images.Image = IMAGE, which: int = 0) -> str:
    """The path of a layer; -1 is the configuration."""
    document = json.loads(image.manifest)
    return f"/v2/x/blobs/{(document['layers'][which] if which >= 0 else document['config'])['digest']}"


def bytes_of(path: str) -> bytes:
    return IMAGE.blobs[path.rpartition("/")[2]]


def answers(path: str, body: bytes, status: int = 200, **headers: str) -> Behave:
    return lambda server: server.answer(path, body, status, **headers)


def does(path: str, handler: registry_hostile.Handler) -> Behave:
    return lambda server: server.handlers.__setitem__(path, handler)


def chunked(body: bytes) -> registry_hostile.Handler:
    def handle(request: Request) -> None:
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        request.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))

    return handle


def endless(request: Request) -> None:
    """An answer that never ends, as fast as it goes."""
    request.send_response(200)
    request.send_header("Transfer-Encoding", "chunked")
    request.end_headers()
    while True:
        try:
            request.wfile.write(b"10000\r\n" + b" " * 65536 + b"\r\n")
        except OSError:
            request.close_connection = True
            return


def slow_headers(request: Request) -> None:
    """One byte at a time, until the other side hangs up."""
    request.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    request.close_connection = True
    never = threading.Event()
    while not never.wait(0.05):
        try:
            request.wfile.write(b"x")
        except OSError:
            return


def slow(data: bytes) -> registry_hostile.Handler:
    return registry_hostile.Dripping(data, piece=1)


def once(first: registry_hostile.Handler, path: str) -> Behave:
    """A fault that is over at the second request."""

    def behave(server: HostileServer) -> None:
        honest, asked = server.handlers[path], list[int]()

        def handle(request: Request) -> None:
            asked.append(1)
            (first if len(asked) == 1 else honest)(request)

        server.handlers[path] = handle

    return behave


def edited(edit: Callable[[dict[str, Any]], object]) -> Behave:
    """The manifest with something else in it."""
    document = json.loads(IMAGE.manifest)
    edit(document)
    return answers(MANIFEST, json.dumps(document).encode(), Content_Type=IMAGE.media_type)


def layer(**fields: object) -> Behave:
    return edited(lambda it: it["layers"][0].update(fields))


def serves(image: images.Image) -> Behave:
    """Another image in its place, honestly."""
    return lambda server: bool(server.serve_image(image)) and None


def lies(diff_id: str) -> images.Image:
    """An image whose configuration states another diff id, correctly named everywhere."""
    document = json.loads(IMAGE.manifest)
    config = json.loads(IMAGE.blobs[document["config"]["digest"]])
    config["rootfs"]["diff_ids"] = [diff_id]
    raw = json.dumps(config).encode()
    document["config"].update(digest=images.digest(raw), size=len(raw))
    kept = {document["layers"][0]["digest"]: IMAGE.blobs[document["layers"][0]["digest"]]}
    return dataclasses.replace(IMAGE, manifest=json.dumps(document).encode(), blobs={**kept, images.digest(raw): raw})


def nested(depth: int) -> Behave:
    """Indexes that lead to indexes."""

    def behave(server: HostileServer) -> None:
        host = manifests.host_platform(os.uname().machine)
        platform = {"os": host.os, "architecture": host.architecture, "variant": host.variant}
        raw, kind = IMAGE.manifest, IMAGE.media_type
        for _ in range(depth):
            entry = {"mediaType": kind, "digest": images.digest(raw), "size": len(raw), "platform": platform}
            server.answer(f"/v2/x/manifests/{images.digest(raw)}", raw, Content_Type=kind)
            raw = json.dumps({"schemaVersion": 2, "mediaType": manifests.OCI_INDEX, "manifests": [entry]}).encode()
            kind = manifests.OCI_INDEX
        server.answer(MANIFEST, raw, Content_Type=kind)

    return behave


def cyclic(server: HostileServer) -> None:
    """An index whose entry is answered with the index itself."""
    host = manifests.host_platform(os.uname().machine)
    platform = {"os": host.os, "architecture": host.architecture, "variant": host.variant}
    entry = {"mediaType": manifests.OCI_INDEX, "digest": images.digest(b"c"), "size": 300, "platform": platform}
    raw = json.dumps({"schemaVersion": 2, "mediaType": manifests.OCI_INDEX, "manifests": [entry]}).encode()
    server.answer(MANIFEST, raw, Content_Type=manifests.OCI_INDEX)
    server.answer(f"/v2/x/manifests/{images.digest(b'c')}", raw, Content_Type=manifests.OCI_INDEX)


def loops(server: HostileServer) -> None:
    server.handlers[blob()] = lambda request: request.reply(307, b"", Location=f"http://{server.address}{blob()}")


# faults


@dataclass(frozen=True)
class Fault:
    """``words`` are in the error; empty: the pull succeeds all the same. ``tries``: how often what ``at`` names is
    asked for, at least and at most. ``kind``: Temporary is tried again by whoever asked for it, Permanent is not."""

    name: str
    behave: Behave
    words: str
    kind: type[errors.PydockError] = errors.Permanent
    tries: tuple[int, int] = (1, 1)
    at: str = MANIFEST


LAYER_PATH, CONFIG_PATH = blob(), blob(which=-1)
DATA = bytes_of(LAYER_PATH)
BOMB = tars.archive([tars.Member(b"zeros", bytes(64 << 20))])
AGAIN = (2, 12)

FAULTS = [
    # blobs
    Fault("truncated", answers(LAYER_PATH, DATA[:-10]), "it announces", at=LAYER_PATH),
    Fault("overlong", answers(LAYER_PATH, DATA + b"x"), "it announces", at=LAYER_PATH),
    Fault("overlong-unannounced", does(LAYER_PATH, chunked(DATA + b"x")), "more than the", at=LAYER_PATH),
    Fault("truncated-unannounced", does(LAYER_PATH, chunked(DATA[:-10])), "before the end", errors.Temporary, AGAIN,
          LAYER_PATH),
    Fault("endless-blob", does(LAYER_PATH, endless), "more than the", at=LAYER_PATH),
    Fault("wrong-digest", answers(LAYER_PATH, DATA.replace(b"content", b"contenu")), "does not match its digest",
          at=LAYER_PATH),
    Fault("wrong-digest-config", answers(CONFIG_PATH, bytes_of(CONFIG_PATH).replace(b"linux", b"linuy")),
          "does not match its digest", at=CONFIG_PATH),
    Fault("absent-blob", answers(LAYER_PATH, b"", 404), "does not have it", errors.NotFound, at=LAYER_PATH),
    Fault("hangs-up", does(LAYER_PATH, registry_hostile.broken(DATA, 0)), "the connection broke|before the end",
          errors.Temporary, AGAIN, LAYER_PATH),
    Fault("hangs-up-once", once(registry_hostile.broken(DATA, 100_000), LAYER_PATH), "", tries=(2, 2), at=LAYER_PATH),
    Fault("resets", does(LAYER_PATH, registry_hostile.reset(DATA, 0)), "the connection broke",
          errors.Temporary, AGAIN, LAYER_PATH),
    Fault("resets-once", once(registry_hostile.reset(DATA, 100_000), LAYER_PATH), "", tries=(2, 2), at=LAYER_PATH),
    Fault("diff-id", serves(lies(images.digest(b"other"))), "diff id"),
    # digests that are paths
    Fault("path-layer", layer(digest="sha256:../x"), "digest 'sha256:../x' is not valid"),
    Fault("path-absolute", layer(digest="/etc/passwd"), "digest '/etc/passwd' is not valid"),
    Fault("path-algorithm", layer(digest="../x:" + "0" * 64), "is not valid"),
    Fault("path-config", edited(lambda it: it["config"].update(digest="sha256:../../x")), "is not valid"),
    Fault("path-header", answers(MANIFEST, IMAGE.manifest, Content_Type=IMAGE.media_type,
                                 Docker_Content_Digest="sha256:../x"), ""),  # says nothing
    Fault("path-diff-id", serves(lies("sha256:../x")), "digest"),
    # manifests
    Fault("deep-indexes", nested(8), "without end"),
    Fault("cyclic-index", cyclic, "does not match its digest"),
    Fault("giant-manifest", answers(MANIFEST, b" " * (manifests.MAX_MANIFEST + 1)), "more than the"),
    Fault("endless-manifest", does(MANIFEST, endless), "more than the"),
    Fault("ten-thousand-layers", edited(lambda it: it.update(layers=it["layers"] * 10_000)), "at most 512"),
    Fault("both-ways", edited(lambda it: it.update(manifests=[])), "could be read in two ways"),
    Fault("another-type", edited(lambda it: it.update(mediaType=manifests.DOCKER_MANIFEST)), "but calls itself"),
    Fault("form-of-index", edited(lambda it: (it.pop("config"), it.pop("layers"), it.update(manifests=[]))),
          "form of the other kind"),
    Fault("layer-type", layer(mediaType="text/plain"), "unknown type"),
    Fault("layer-size", layer(size=1 << 62), "expected 0 to"),
    Fault("layer-size-less", layer(size=len(DATA) - 1), "it announces", at=LAYER_PATH),
    Fault("deep-json", answers(MANIFEST, b"[" * 100_000), "malformed"),
    # bombs
    Fault("gzip-bomb", serves(images.build([BOMB])), "allowed or that fit"),
    Fault("zstd-bomb", serves(images.build([BOMB], packing="zstd")), "allowed or that fit"),
    *(Fault(f"padding-bomb-{packing}", serves(images.build([LAYER + bytes(64 << 20)], packing=packing)),  # type: ignore[arg-type]
            "the layer has more than the") for packing in ("gzip", "zstd")),
    Fault("sparse", serves(images.build([tars.archive([tars.sparse(b"s", [(0, b"x")], 1 << 40)])])), "more than the"),
    Fault("many-files", serves(images.build([tars.archive([tars.Member(b"%d" % n) for n in range(101)])])),
          "more files"),
    # time
    Fault("slow-headers", does(MANIFEST, slow_headers), "no progress", errors.Temporary, (1, 12)),
    Fault("slow-manifest", does(MANIFEST, slow(IMAGE.manifest)), "no progress", errors.Temporary,
          (1, 12)),
    Fault("slow-blob", does(LAYER_PATH, slow(DATA)), "no progress",
          errors.Temporary, AGAIN, LAYER_PATH),
    Fault("slow-once", once(slow(DATA), LAYER_PATH), "", tries=(2, 2),
          at=LAYER_PATH),
    Fault("redirect-loop", loops, "redirects more than 5 times", tries=(6, 6), at=LAYER_PATH),
    Fault("redirect-nowhere", answers(LAYER_PATH, b"", 302), "does not say where to", at=LAYER_PATH),
    # places that even a registry on this host may not send us to
    *(Fault(f"redirect-{place.partition(':')[0]}", answers(LAYER_PATH, b"", 307, Location=place), "it sent",
            at=LAYER_PATH)
      for place in ("file:///etc/passwd", "ftp://127.0.0.1/x", "http://198.51.100.1/x")),
    Fault("redirect-with-login",
          lambda server: server.answer(LAYER_PATH, b"", 307, Location=f"http://u:p@{server.address}{CONFIG_PATH}"),
          "a user name or password", at=LAYER_PATH),
    # answers
    *(Fault(f"busy-{status}", answers(LAYER_PATH, b"", status, Retry_After="2"), f"HTTP {status}", errors.Temporary,
            AGAIN, LAYER_PATH) for status in (429, 503)),
    *(Fault(f"busy-{status}-once", once(lambda request, code=status: request.reply(code, b"", Retry_After="2"),  # type: ignore[misc]
                                        LAYER_PATH), "", tries=(2, 2), at=LAYER_PATH) for status in (429, 503)),
    Fault("busy-long", answers(LAYER_PATH, b"", 503, Retry_After="999999"), "HTTP 503", errors.Temporary,
          at=LAYER_PATH),
    Fault("denied", answers(LAYER_PATH, b"", 403), "access is denied", errors.Forbidden, at=LAYER_PATH),
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_a_fault_leaves_the_store_clean(
    puller: Puller, server: HostileServer, tmp_path: pathlib.Path, pauses: list[float], fault: Fault
) -> None:
    reference = server.serve_image(IMAGE)
    fault.behave(server)
    if not fault.words:
        puller.pull(reference)
    else:
        with pytest.raises(fault.kind, match=fault.words) as caught:
            puller.pull(reference)
        check_nothing_is_seen(puller, caught.value, reference)
    asked = [path for path in server.paths if path == fault.at]
    assert fault.tries[0] <= len(asked) <= fault.tries[1], server.paths
    assert not any(".." in path or "passwd" in path for path in server.paths)
    assert not any("passwd" in str(path) or path.name == "x" for path in tmp_path.rglob("*"))
    check_an_honest_pull(puller, server, reference)


def check_nothing_is_seen(puller: Puller, error: errors.PydockError, reference: str) -> None:
    assert error.message.startswith(f"image {reference}: "), error.message
    assert len(error.message) < 600
    assert error.message.isprintable()
    assert puller.problems() == []
    assert puller.recorded() == []
    assert puller.graph.layers() == ()


def check_an_honest_pull(puller: Puller, server: HostileServer, reference: str) -> None:
    server.handlers.clear()
    server.serve_image(IMAGE)
    assert puller.pull(reference) == IMAGE.digest
    assert puller.recorded() == [reference]
    assert puller.problems() == []
    tree = puller.tree(reference)
    assert set(tree) == TREE
    assert tree["etc/f"].content == images.digest(b"content" * 30_000).removeprefix("sha256:")


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [
        ("2", 2, 2.2),
        ("0", 0, 1.1),
        ("-7", 0.5, 6),
        ("soon", 0.5, 6),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0.5, 6),
        ("", 0.5, 6),
    ],
)
def test_a_busy_registry_is_asked_again_when_it_says(
    puller: Puller, server: HostileServer, pauses: list[float], header: str, low: float, high: float
) -> None:
    reference = server.serve_image(IMAGE)
    once(lambda request: request.reply(503, b"", Retry_After=header), LAYER_PATH)(server)
    puller.pull(reference)
    assert len(pauses) == 1
    assert low <= pauses[0] <= high
    assert puller.problems() == []


@pytest.mark.parametrize("header", ["120", "99999999999", "date", "Fri, 31 Dec 9999 23:59:59 GMT"])
@pytest.mark.parametrize("path", [MANIFEST, LAYER_PATH])
def test_a_long_pause_puts_the_pull_off_within_bounds(
    puller: Puller, server: HostileServer, pauses: list[float], header: str, path: str
) -> None:
    reference = server.serve_image(IMAGE)
    if header == "date":
        header = email.utils.formatdate(time.time() + 120, usegmt=True)
    server.answer(path, b"", 429, Retry_After=header)
    with pytest.raises(errors.Temporary) as caught:
        puller.pull(reference)
    assert 100 <= caught.value.delay <= 300
    assert not [pause for pause in pauses if pause > 30]
    check_nothing_is_seen(puller, caught.value, reference)


def test_pauses_are_not_all_the_same(puller: Puller, server: HostileServer, pauses: list[float]) -> None:
    """Hosts that were sent away together do not come back together."""
    reference = server.serve_image(IMAGE)
    server.answer(LAYER_PATH, b"", 503, Retry_After="5")
    with pytest.raises(errors.Temporary):
        puller.pull(reference)
    assert len(pauses) >= 2
    assert len(set(pauses)) == len(pauses)
