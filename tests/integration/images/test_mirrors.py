"""Mirrors: asked in order before the registry, and no worse than none when they fail."""

from __future__ import annotations

import json
import logging
import os
import pathlib
import threading
from collections.abc import Iterator

import pytest

from reconciler import errors
from reconciler.drivers.registry import mirrors
from reconciler.drivers.registry.hosts import Host, Hosts
from reconciler.images import pulling as pulls
from reconciler.model import references
from reconciler.model.credentials import Credentials
from reconciler.testing import graph_tars as tars
from reconciler.testing import images, registry_hostile
from reconciler.testing.graph_suite import Place
from reconciler.testing.registry_hostile import Handler, HostileServer, Request

IMAGE = images.build([tars.archive([tars.Member(b"f", os.urandom(400_000))])], packing="plain")
LAYER = json.loads(IMAGE.manifest)["layers"][0]["digest"]
DATA, BLOB = IMAGE.blobs[LAYER], f"/v2/x/blobs/{LAYER}"
MANIFEST = "/v2/x/manifests/latest"


@pytest.fixture
def servers() -> Iterator[list[HostileServer]]:
    """Two mirrors and the registry itself, all honest."""
    with registry_hostile.hostile() as one, registry_hostile.hostile() as two, registry_hostile.hostile() as origin:
        found = [one, two, origin]
        for server in found:
            server.serve_image(IMAGE)
        yield found


@pytest.fixture
def place(tmp_path: pathlib.Path) -> Iterator[Place]:
    found = Place(tmp_path / "graph", "overlay")
    yield found
    found.close()


def client(servers: list[HostileServer], patience: float = 60.0) -> mirrors.MirroredClient:
    urls = tuple(f"http://{server.address}" for server in servers[:-1])
    return mirrors.MirroredClient(Hosts({servers[-1].address: Host(mirrors=urls)}), patience=patience)


def pull(place: Place, servers: list[HostileServer], patience: float = 60.0, target: str = ":latest") -> pulls.Pulled:
    reference = references.parse(f"{servers[-1].address}/x{target}")
    return pulls.pull(reference, client(servers, patience), place.graph)


def check(place: Place, found: pulls.Pulled, servers: list[HostileServer]) -> None:
    """The image is there, under the name of the registry itself."""
    assert found.facts.digest == IMAGE.digest
    assert found.facts.reference.startswith(f"{servers[-1].address}/x")
    assert len(place.graph.layers()) == 1
    assert place.leftovers() == []


def asked(server: HostileServer, path: str) -> list[str]:
    """The Range of each request for ``path``."""
    return [headers.get("Range", "") for seen, headers in server.seen if seen == path]


def test_the_first_mirror_is_enough(place: Place, servers: list[HostileServer]) -> None:
    check(place, pull(place, servers), servers)
    assert len(servers[0].seen) == 3
    assert servers[1].seen == servers[2].seen == []


def _status(status: int) -> Handler:
    return lambda request: request.reply(status, b"{}", Retry_After="1")


def _no_end(request: Request) -> None:
    request.reply(307, b"", Location=f"{request.path}x")


def _reset(request: Request) -> None:
    registry_hostile.broken(b"x" * 10, 0)(request)


@pytest.mark.parametrize(
    "fail",
    [
        *(_status(status) for status in (400, 401, 403, 404, 418, 429, 500, 503)),
        _no_end,
        _reset,
        lambda request: request.reply(200, b"<html>welcome</html>", Content_Type="text/html"),
        lambda request: request.reply(200, IMAGE.manifest[:-1], Content_Type=IMAGE.media_type),
        lambda request: request.reply(302, b"", Location="file:///etc/passwd"),
    ],
)
def test_a_mirror_that_fails_costs_a_line(
    place: Place, servers: list[HostileServer], fail: Handler, caplog: pytest.LogCaptureFixture
) -> None:
    servers[0].handlers = {"*": fail}
    with caplog.at_level(logging.WARNING, "pydock.registry"):
        check(place, pull(place, servers), servers)
    assert len(servers[1].seen) == 3
    assert servers[2].seen == []
    assert f"mirror {servers[0].address}: " in caplog.messages[0]


def test_when_all_mirrors_fail_the_registry_is_asked(place: Place, servers: list[HostileServer]) -> None:
    for server in servers[:2]:
        server.handlers.clear()
    check(place, pull(place, servers), servers)
    assert len(servers[2].seen) == 3


def test_what_became_of_the_mirrors_is_told_when_the_registry_fails_too(
    place: Place, servers: list[HostileServer]
) -> None:
    for server in servers:
        server.handlers.clear()
    with pytest.raises(errors.NotFound) as caught:
        pull(place, servers)
    words = "it does not have it (MANIFEST_UNKNOWN: no such thing)"
    assert caught.value.message == (
        f"image {servers[2].address}/x:latest: registry {servers[2].address}: {words} "
        f"(mirror {servers[0].address}: {words}; mirror {servers[1].address}: {words})"
    )


def test_a_mirror_nobody_listens_at(place: Place, servers: list[HostileServer]) -> None:
    configured = Hosts({servers[2].address: Host(mirrors=(f"http://127.0.0.1:{images.free_port()}",))})
    reference = references.parse(f"{servers[2].address}/x")
    check(place, pulls.pull(reference, mirrors.MirroredClient(configured), place.graph), servers)


def test_a_mirror_must_have_what_a_digest_means(place: Place, servers: list[HostileServer]) -> None:
    other = images.build([tars.archive([tars.Member(b"evil")])])
    servers[0].serve_image(other)
    servers[0].answer(f"/v2/x/manifests/{IMAGE.digest}", other.manifest, Content_Type=other.media_type)
    check(place, pull(place, servers, target=f":latest@{IMAGE.digest}"), servers)
    assert len(servers[0].seen) == 3, "it has the blobs: it is asked for them"
    assert servers[1].paths == [f"/v2/x/manifests/{IMAGE.digest}"]


def test_a_login_is_not_shown_to_mirrors(place: Place, servers: list[HostileServer]) -> None:
    challenge = f'Bearer realm="http://{servers[1].address}/token"'
    servers[0].handlers = {"*": lambda request: request.reply(401, b"", WWW_Authenticate='Basic realm="x"')}
    servers[1].handlers = {"*": lambda request: request.reply(401, b"", WWW_Authenticate=challenge)}
    servers[1].answer("/token", b'{"token": "anonymous"}')
    honest = dict(servers[2].handlers)

    def guarded(request: Request) -> None:
        if "Authorization" in request.headers:
            honest[request.path](request)
        else:
            request.reply(401, b"", WWW_Authenticate='Basic realm="x"')

    servers[2].handlers = {"*": guarded}
    login = Credentials("user", "canary")
    reference = references.parse(f"{servers[2].address}/x")
    found = pulls.pull(reference, client(servers).acting(servers[2].address, login), place.graph)
    check(place, found, servers)
    for server in servers[:2]:
        assert server.seen
        assert all("canary" not in str(seen) and login.basic() not in str(seen) for seen in server.seen)
    assert any(login.basic() in str(seen) for seen in servers[2].seen)


def test_blobs_that_a_mirror_does_not_have(place: Place, servers: list[HostileServer]) -> None:
    del servers[0].handlers[BLOB]
    check(place, pull(place, servers), servers)
    assert servers[1].paths == [BLOB]
    assert servers[2].seen == []


def _dripping(stop: threading.Event) -> Handler:
    """All but a little, then a byte now and then."""

    def handle(request: Request) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(DATA)))
        request.end_headers()
        request.wfile.write(DATA[:150_000])
        for at in range(150_000, len(DATA)):
            request.wfile.write(DATA[at : at + 1])
            request.wfile.flush()
            if stop.wait(0.05):
                return

    return handle


def test_a_mirror_that_breaks_off_is_gone_on_from_at_the_next(place: Place, servers: list[HostileServer]) -> None:
    servers[0].handlers[BLOB] = registry_hostile.broken(DATA, 100_000)
    check(place, pull(place, servers), servers)
    assert asked(servers[0], BLOB) == [""]
    assert [0 < int(part[6:-1]) <= 100_000 for part in asked(servers[1], BLOB)] == [True]
    assert servers[2].seen == []


def test_a_mirror_that_drips_is_given_up_and_gone_on_from_at_the_next(
    place: Place, servers: list[HostileServer]
) -> None:
    stop = threading.Event()
    servers[0].handlers[BLOB] = _dripping(stop)
    try:
        check(place, pull(place, servers, patience=0.5), servers)
    finally:
        stop.set()
    assert [150_000 <= int(part[6:-1]) < 150_100 for part in asked(servers[1], BLOB)] == [True]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda request: request.reply(200, bytes(len(DATA))),
        registry_hostile.broken(bytes(len(DATA)), 100_000),
        lambda request: request.reply(200, DATA + b"more"),
        lambda request: request.reply(206, DATA[7:], Content_Range=f"bytes 7-{len(DATA) - 1}/{len(DATA)}"),
    ],
    ids=["other bytes", "other bytes, then a break", "too many", "another part"],
)
def test_a_mirror_that_sends_other_bytes_is_not_asked_for_them_again(
    place: Place, servers: list[HostileServer], wrong: Handler
) -> None:
    servers[0].handlers[BLOB] = wrong
    registry = client(servers)
    reference = references.parse(f"{servers[2].address}/x")
    check(place, pulls.pull(reference, registry, place.graph), servers)
    assert len(asked(servers[0], BLOB)) == 1
    assert servers[2].seen == []


def test_everybody_sends_other_bytes(place: Place, servers: list[HostileServer]) -> None:
    for server in servers:
        server.answer(BLOB, bytes(len(DATA)))
    with pytest.raises(errors.Permanent, match="does not match its digest"):
        pull(place, servers)
    assert [len(asked(server, BLOB)) for server in servers] == [1, 1, 1]
    assert place.graph.layers() == ()
    assert place.leftovers() == []
    assert LAYER not in place.graph.blobs()


@pytest.mark.parametrize("fail", [_status(503), _reset])
def test_a_mirror_in_trouble_is_left_alone_for_a_while(
    place: Place, servers: list[HostileServer], fail: Handler
) -> None:
    servers[0].handlers = {"*": fail}
    registry = client(servers)
    reference = references.parse(f"{servers[2].address}/x")
    for _ in range(3):
        pulls.pull(reference, registry, place.graph)
    assert len(servers[0].seen) == 1


def test_a_full_disk_is_not_the_mirrors_fault(servers: list[HostileServer]) -> None:
    def full(data: memoryview) -> None:
        raise errors.Temporary("no space left on device")

    registry = client(servers)
    reference = references.parse(f"{servers[2].address}/x")
    layer = registry.resolve(reference).layers[0]
    with pytest.raises(errors.Temporary, match="no space left"):
        registry.fetch(reference, layer, 0, full)
    assert servers[1].seen == servers[2].seen == []
    registry.resolve(reference)
    assert servers[1].seen == [], "it is as good as before"
