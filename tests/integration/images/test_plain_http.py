"""A registry elsewhere that is configured to have no TLS, with its storage and its tokens on another such host."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from reconciler import errors
from reconciler.drivers.registry import hosts, mirrors
from reconciler.model import references
from reconciler.model.credentials import Credentials
from reconciler.testing import graph_tars as tars
from reconciler.testing import images, registry_hostile
from reconciler.testing.registry_hostile import HostileServer, Request

#: of this host, and of no network that there is (RFC 5737)
HOME, AWAY = "198.51.100.7", "198.51.100.8"
IMAGE = images.build([tars.archive([tars.Member(b"f", b"content")])], packing="plain")
LOGIN = Credentials("tester", "canary-password")


@pytest.fixture(scope="module", autouse=True)
def addresses() -> Iterator[None]:
    for verb in ("add", "del"):
        for address in (HOME, AWAY):
            subprocess.run(["ip", "address", verb, f"{address}/32", "dev", "lo"], check=True)
        if verb == "add":
            yield


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with registry_hostile.hostile(host=HOME) as found:
        yield found


@pytest.fixture
def away() -> Iterator[HostileServer]:
    """Has the blobs, and makes tokens."""
    with registry_hostile.hostile(host=AWAY) as found:
        for digest, data in IMAGE.blobs.items():
            found.answer(f"/storage/{digest}", data)
        found.answer("/token", b'{"token": "canary-token"}')
        yield found


def serve(server: HostileServer, away: HostileServer, realm: str = "") -> references.Reference:
    """Manifests for a token of ``realm``; blobs are elsewhere."""
    reference = server.serve_image(IMAGE)
    inner = dict(server.handlers)
    challenge = f'Bearer realm="{realm or f"http://{away.address}/token"}",service="x"'

    def handle(request: Request) -> None:
        if request.headers.get("Authorization") != "Bearer canary-token":
            request.reply(401, b"{}", WWW_Authenticate=challenge)
        elif "/blobs/" in request.path:
            request.reply(307, b"", Location=f"http://{away.address}/storage/{request.path.rpartition('/')[2]}")
        else:
            inner[request.path](request)

    server.handlers = {"*": handle}
    return references.parse(reference)


def configured(server: HostileServer) -> mirrors.MirroredClient:
    return mirrors.MirroredClient(hosts.Hosts({server.address: hosts.Host(plain_http=True)}))


def taken(view: mirrors.MirroredClient, reference: references.Reference) -> dict[str, bytes]:
    manifest = view.resolve(reference)
    found = {}
    for blob in (manifest.config, *manifest.layers):
        data = bytearray()
        view.fetch(reference, blob, 0, data.extend)
        found[blob.digest] = bytes(data)
    return found


def test_everything_comes(server: HostileServer, away: HostileServer) -> None:
    assert taken(configured(server), serve(server, away)) == IMAGE.blobs
    assert {path.partition("?")[0] for path in away.paths} == {"/token", *(f"/storage/{each}" for each in IMAGE.blobs)}
    assert not any("Authorization" in headers for _, headers in away.seen)


@pytest.mark.parametrize("inside", ["127.0.0.1", "localhost", "169.254.169.254", "[::1]"])
def test_it_may_not_send_us_to_this_host(server: HostileServer, away: HostileServer, inside: str) -> None:
    with pytest.raises(errors.Permanent, match="an address of this host or link"):
        taken(configured(server), serve(server, away, f"http://{inside}:{away.server_address[1]}/token"))
    assert away.seen == []


def test_a_password_is_told_to_nobody_without_tls(server: HostileServer, away: HostileServer) -> None:
    reference = serve(server, away)
    with pytest.raises(errors.Permanent, match=f"a login would go to {AWAY} without TLS: nothing was sent"):
        configured(server).acting(server.address, LOGIN).resolve(reference)
    server.handlers["*"] = lambda request: request.reply(401, b"{}", WWW_Authenticate='Basic realm="x"')
    with pytest.raises(errors.Permanent, match=f"a login would go to {HOME} without TLS: nothing was sent"):
        configured(server).acting(server.address, LOGIN).resolve(references.parse(f"{server.address}/x"))
    assert "Authorization" not in json.dumps([server.seen, away.seen])


def test_what_is_not_configured_is_spoken_to_with_tls(server: HostileServer) -> None:
    with pytest.raises(errors.Permanent, match=r"it does not speak TLS; .*plain_http = true"):
        mirrors.MirroredClient(hosts.Hosts()).resolve(references.parse(f"{server.address}/x"))
    assert server.seen == []
