"""Whole pulls from a registry elsewhere, over TLS, that sends us to places which are none of its business.

The registry is "elsewhere" by its name: names of the tests' lead to loopback, as a malicious name server's would."""

from __future__ import annotations

import json
import pathlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from reconciler import errors
from reconciler.model.credentials import Credentials
from reconciler.testing import graph_tars as tars
from reconciler.testing import images, registry_hostile, registry_tls
from reconciler.testing.pulling import Puller
from reconciler.testing.registry_hostile import HostileServer, Request

IMAGE = images.build([tars.archive([tars.Member(b"f", b"content")])], packing="plain")
MANIFEST = "/v2/x/manifests/latest"
LAYER = f"/v2/x/blobs/{json.loads(IMAGE.manifest)['layers'][0]['digest']}"
LOGIN = Credentials("tester", "canary-password")
#: names that lead to loopback
HOME, AWAY, INSIDE = "registry.test", "cdn.test", "inside.test"

#: where it may not send us; ``{port}`` is that of a server on this host
TARGETS = [
    "https://127.0.0.1:{port}/x",
    "https://127.1:{port}/x",
    "https://2130706433:{port}/x",
    "https://0x7f000001:{port}/x",
    "https://127.9.9.9:{port}/x",
    "https://localhost:{port}/x",
    "https://LOCALHOST:{port}/x",
    "https://a.localhost:{port}/x",
    "https://0.0.0.0:{port}/x",
    "https://0:{port}/x",
    "https://[::1]:{port}/x",
    "https://[::]:{port}/x",
    "https://[::ffff:127.0.0.1]:{port}/x",
    "https://[::ffff:7f00:1]:{port}/x",
    "https://[::127.0.0.1]:{port}/x",
    "https://[64:ff9b::169.254.169.254]/latest/meta-data",
    "https://[fe80::1%25lo]:{port}/x",
    "https://169.254.169.254/latest/meta-data",
    "https://[::ffff:169.254.169.254]/latest/meta-data",
    "https://[fe80::a9fe:a9fe]/latest/meta-data",
    f"https://{INSIDE}:{{port}}/x",
    f"http://{AWAY}:{{port}}/x",
    "http://127.0.0.1:{port}/x",
    "//127.0.0.1:{port}/x",
    "file:///etc/passwd",
    "ftp://127.0.0.1:{port}/x",
    f"https://user:password@{AWAY}:{{port}}/x",
]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> registry_tls.Authority:
    return registry_tls.Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def certificate(authority: registry_tls.Authority) -> registry_tls.Pair:
    return authority.issue("server", ",".join(f"DNS:{name}" for name in (HOME, AWAY, INSIDE)))


@pytest.fixture
def names(authority: registry_tls.Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' names lead here, and their certificate is trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.cert))
    resolve = socket.getaddrinfo

    def resolved(host: str, *rest: Any, **options: Any) -> Any:
        return resolve("127.0.0.1" if str(host).endswith(".test") else host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)


@pytest.fixture
def server(certificate: registry_tls.Pair, names: None) -> Iterator[HostileServer]:
    with registry_hostile.hostile(certificate.server_context()) as found:
        yield found


@pytest.fixture
def inside(certificate: registry_tls.Pair) -> Iterator[HostileServer]:
    """What is on this host for nobody else."""
    with registry_hostile.hostile(certificate.server_context()) as found:
        found.handlers["*"] = lambda request: request.reply(200, b'{"token":"of the inside"}')
        yield found


@pytest.fixture
def puller(tmp_path: pathlib.Path) -> Iterator[Puller]:
    found = Puller(tmp_path / "pulls", patience=2.0)
    yield found
    found.close()


def serve(server: HostileServer) -> str:
    server.serve_image(IMAGE)
    return f"{HOME}:{server.server_address[1]}/x:latest"


def redirected(path: str) -> Callable[[HostileServer, str], None]:
    def behave(server: HostileServer, target: str) -> None:
        server.answer(path, b"", 307, Location=target)

    return behave


def realm(server: HostileServer, target: str) -> None:
    server.answer(MANIFEST, b"", 401, WWW_Authenticate=f'Bearer realm="{target}",service="x"')


def realm_redirected(server: HostileServer, target: str) -> None:
    server.answer("/token", b"", 307, Location=target)
    realm(server, "/token")


WAYS = {
    "manifest": redirected(MANIFEST), "blob": redirected(LAYER), "realm": realm, "realm-redirect": realm_redirected,
}  # fmt: skip


def check_clean(puller: Puller) -> None:
    assert puller.problems() == []
    assert puller.recorded() == []
    assert puller.graph.layers() == ()


def test_an_image_from_elsewhere(puller: Puller, server: HostileServer) -> None:
    """What the others rest on: the registry can be pulled from."""
    reference = serve(server)
    assert puller.pull(reference) == IMAGE.digest
    assert puller.recorded() == [reference]
    assert set(puller.tree(reference)) == {".", "f"}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("way", WAYS)
def test_places_that_it_may_not_send_us_to(
    puller: Puller, server: HostileServer, inside: HostileServer, way: str, target: str
) -> None:
    reference = serve(server)
    WAYS[way](server, target.format(port=inside.server_address[1]))
    with pytest.raises(errors.PydockError, match="it sent ") as caught:
        puller.pull(reference, LOGIN)
    assert isinstance(caught.value, errors.Permanent), "nobody tries it again"
    assert inside.seen == [], "nothing was asked of what is inside"
    assert LOGIN.password not in caught.value.message
    check_clean(puller)
    serve(server)
    assert puller.pull(reference) == IMAGE.digest
    assert puller.problems() == []


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch, certificate: registry_tls.Pair) -> Iterator[HostileServer]:
    """Another host, that we may be sent to: its address is taken for one of the wide world."""
    from reconciler.drivers.registry import addresses

    monkeypatch.setattr(addresses, "is_special", lambda address: False)
    with registry_hostile.hostile(certificate.server_context()) as found:
        yield found


def guarded(server: HostileServer, challenge: str, proof: str) -> None:
    """Everything is served to who shows ``proof``."""

    def guard(handler: registry_hostile.Handler) -> registry_hostile.Handler:
        def handle(request: Request) -> None:
            if request.headers.get("Authorization") == proof:
                handler(request)
            else:
                request.reply(401, b"{}", WWW_Authenticate=challenge)

        return handle

    server.handlers = {path: guard(handler) for path, handler in server.handlers.items()}


@pytest.mark.parametrize("scheme", ["Basic", "Bearer"])
def test_another_host_that_serves_a_layer_gets_no_login_and_no_token(
    puller: Puller, server: HostileServer, away: HostileServer, scheme: str
) -> None:
    reference = serve(server)
    away.answer("/layer", IMAGE.blobs[LAYER.rpartition("/")[2]])
    server.answer(LAYER, b"", 307, Location=f"https://{AWAY}:{away.server_address[1]}/layer")
    if scheme == "Basic":
        guarded(server, 'Basic realm="x"', f"Basic {LOGIN.basic()}")
    else:
        guarded(server, f'Bearer realm="https://{HOME}:{server.server_address[1]}/token",service="x"', "Bearer canary")
        server.answer("/token", b'{"token":"canary"}')
    assert puller.pull(reference, LOGIN) == IMAGE.digest
    assert away.paths == ["/layer"]
    told = {name.lower() for name in away.seen[0][1]}
    assert not {"authorization", "cookie", "proxy-authorization"} & told
    assert "canary" not in str(away.seen)


def test_a_realm_on_another_host_is_told_nothing_by_who_has_no_login(
    puller: Puller, server: HostileServer, away: HostileServer
) -> None:
    """And the token that it gives goes to the registry alone."""
    reference = serve(server)
    guarded(server, f'Bearer realm="https://{AWAY}:{away.server_address[1]}/token",service="x"', "Bearer canary")
    away.answer("/token", b'{"token":"canary"}')
    assert puller.pull(reference) == IMAGE.digest
    assert [path.partition("?")[0] for path in away.paths] == ["/token"]
    assert all("authorization" not in {name.lower() for name in headers} for _, headers in away.seen)


def test_addresses_of_a_layer_in_its_manifest_are_not_asked(
    puller: Puller, server: HostileServer, away: HostileServer
) -> None:
    """``urls`` of a layer (OCI image spec, "Descriptor") may name any host."""
    reference = serve(server)
    document = json.loads(IMAGE.manifest)
    document["layers"][0]["urls"] = [f"https://{AWAY}:{away.server_address[1]}/layer", "file:///etc/passwd"]
    server.answer(MANIFEST, json.dumps(document).encode(), Content_Type=IMAGE.media_type)
    del server.handlers[LAYER]
    away.answer("/layer", IMAGE.blobs[LAYER.rpartition("/")[2]])
    with pytest.raises(errors.NotFound, match="does not have it"):
        puller.pull(reference, LOGIN)
    assert away.seen == []
    check_clean(puller)


def test_a_redirect_that_comes_back_is_shown_the_login_again_at_home_alone(
    puller: Puller, server: HostileServer, away: HostileServer
) -> None:
    reference = serve(server)
    back = f"https://{HOME}:{server.server_address[1]}/back"
    server.answer(LAYER, b"", 307, Location=f"https://{AWAY}:{away.server_address[1]}/there")
    away.answer("/there", b"", 307, Location=back)
    server.answer("/back", IMAGE.blobs[LAYER.rpartition("/")[2]])
    guarded(server, 'Basic realm="x"', f"Basic {LOGIN.basic()}")
    assert puller.pull(reference, LOGIN) == IMAGE.digest
    assert "Authorization" not in away.seen[0][1]
