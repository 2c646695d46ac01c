"""Pulls with a login: from a real docker-registry with passwords, with tokens, and from registries that abuse it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from reconciler import errors
from reconciler.drivers.registry import client
from reconciler.model import references
from reconciler.model.credentials import Credentials
from reconciler.testing import images, registry_hostile, registry_logins
from reconciler.testing.registry_hostile import HostileServer, Request

LOGIN = Credentials("tester", "canary-pass:word")
WRONG = Credentials("tester", "canary-wrong")


@pytest.fixture(scope="module")
def opened() -> Iterator[images.Server]:
    with images.registry() as found:
        yield found


@pytest.fixture(scope="module")
def image(opened: images.Server) -> images.Image:
    made = images.busybox()
    images.push(opened.address, "team/private", "v1", made)
    images.push(opened.address, "team/other", "v1", made)
    return made


@pytest.fixture(scope="module")
def guarded(opened: images.Server, image: images.Image) -> Iterator[images.Server]:
    with registry_logins.with_password(opened, LOGIN) as found:
        yield found


@pytest.fixture(scope="module")
def tokens(opened: images.Server, image: images.Image) -> Iterator[tuple[images.Server, registry_logins.TokenServer]]:
    with registry_logins.with_tokens(opened, LOGIN) as found:
        yield found


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with registry_hostile.hostile() as found:
        yield found


def named(server: images.Server | HostileServer, path: str = "team/private:v1") -> references.Reference:
    return references.parse(f"{server.address}/{path}")


def taken(view: client.RegistryClient, reference: references.Reference) -> dict[str, bytes]:
    """All blobs of the image, by digest."""
    manifest = view.resolve(reference)
    found = {}
    for blob in (manifest.config, *manifest.layers):
        data = bytearray()
        view.fetch(reference, blob, 0, data.extend)
        found[blob.digest] = bytes(data)
    return found


def check_words(error: errors.PydockError, reference: references.Reference) -> None:
    assert error.message.startswith(f"image {reference}: registry {reference.registry}: ")
    assert error.message.endswith(f"pydock login {reference.registry}")
    assert not any(secret in error.message for login in (LOGIN, WRONG) for secret in (login.password, login.basic()))


def test_a_password(guarded: images.Server, image: images.Image) -> None:
    view = client.RegistryClient().acting(guarded.address, LOGIN)
    assert taken(view, named(guarded)) == image.blobs


def test_without_or_with_a_wrong_password(guarded: images.Server) -> None:
    anonymous = client.RegistryClient()
    for view in (anonymous, anonymous.acting(guarded.address, WRONG)):
        with pytest.raises(errors.Forbidden) as caught:
            view.resolve(named(guarded))
        check_words(caught.value, named(guarded))


def test_a_login_serves_its_own_request_and_registry_only(guarded: images.Server, image: images.Image) -> None:
    anonymous = client.RegistryClient()
    assert taken(anonymous.acting(guarded.address, LOGIN), named(guarded)) == image.blobs
    elsewhere = anonymous.acting("registry.example", LOGIN)
    for view in (anonymous, anonymous.acting(guarded.address, WRONG), elsewhere):
        with pytest.raises(errors.Forbidden):
            view.resolve(named(guarded))


def test_a_token(tokens: tuple[images.Server, registry_logins.TokenServer], image: images.Image) -> None:
    server, maker = tokens
    maker.asked.clear()
    view = client.RegistryClient().acting(server.address, LOGIN)
    assert taken(view, named(server)) == image.blobs
    scope = {"service": registry_logins.SERVICE, "scope": "repository:team/private:pull"}
    assert maker.asked == [(scope, f"Basic {LOGIN.basic()}")], "one token for the whole pull"
    assert taken(view, named(server, "team/other:v1")) == image.blobs
    assert [query["scope"] for query, _ in maker.asked[1:]] == ["repository:team/other:pull"]


def test_a_token_of_one_login_never_serves_another_request(
    tokens: tuple[images.Server, registry_logins.TokenServer], image: images.Image
) -> None:
    server, _ = tokens
    anonymous = client.RegistryClient()
    assert taken(anonymous.acting(server.address, LOGIN), named(server)) == image.blobs
    for view in (anonymous, anonymous.acting(server.address, WRONG)):
        with pytest.raises(errors.Forbidden) as caught:
            view.resolve(named(server))
        check_words(caught.value, named(server))


def test_login_tells_right_from_wrong(
    guarded: images.Server, tokens: tuple[images.Server, registry_logins.TokenServer], opened: images.Server
) -> None:
    anonymous = client.RegistryClient()
    anonymous.acting(opened.address, WRONG).login(opened.address)
    for server in (guarded, tokens[0]):
        anonymous.acting(server.address, LOGIN).login(server.address)
        with pytest.raises(errors.Forbidden, match=f"^registry {server.address}: .*pydock login") as caught:
            anonymous.acting(server.address, WRONG).login(server.address)
        assert WRONG.password not in caught.value.message
        assert WRONG.basic() not in caught.value.message


def test_a_token_that_is_refused_is_had_anew(server: HostileServer) -> None:
    image = images.busybox()
    reference = references.parse(server.serve_image(image))
    inner = dict(server.handlers)
    valid = ["first"]

    def handle(request: Request) -> None:
        if request.headers.get("Authorization") == f"Bearer {valid[0]}":
            inner[request.path](request)
        else:
            challenge = f'Bearer realm="http://{server.address}/token"'
            request.reply(401, b"{}", WWW_Authenticate=challenge)

    server.handlers = {"*": handle}
    server.handlers["/token"] = lambda request: request.reply(200, json.dumps({"token": valid[0]}).encode())
    view = client.RegistryClient().acting(server.address, LOGIN)
    view.resolve(reference)
    valid[0] = "second"
    assert taken(view, reference) == image.blobs
    assert [path.partition("?")[0] for path in server.paths].count("/token") == 2


def challenge(server: HostileServer, text: str) -> None:
    server.handlers["*"] = lambda request: request.reply(401, b"{}", WWW_Authenticate=text)


def shown(server: HostileServer) -> list[str]:
    return [headers["Authorization"] for _, headers in server.seen if "Authorization" in headers]


def test_a_realm_without_tls_on_another_host_is_told_nothing(server: HostileServer) -> None:
    challenge(server, 'Bearer realm="http://tokens.example/token"')
    with pytest.raises(errors.Permanent, match=r"tokens\.example without TLS"):
        client.RegistryClient().acting(server.address, LOGIN).resolve(named(server))
    assert shown(server) == []


def test_a_host_that_a_redirect_leads_to_gets_no_login(server: HostileServer) -> None:
    """Neither by itself, nor by a realm or a password that it asks for."""
    with registry_hostile.hostile() as other:
        for text in ('Basic realm="x"', f'Bearer realm="http://{other.address}/token"'):
            challenge(other, text)
            away = f"http://{other.address}/away"
            server.handlers["*"] = lambda request, away=away: (  # type: ignore[misc]
                request.reply(307, b"", Location=away)
                if "Authorization" in request.headers
                else request.reply(401, b"", WWW_Authenticate='Basic realm="y"')
            )
            with pytest.raises(errors.PydockError):
                client.RegistryClient().acting(server.address, LOGIN).resolve(named(server))
            server.handlers["*"] = lambda request, away=away: request.reply(  # type: ignore[misc]
                307, b"", Location=away
            )
            with pytest.raises(errors.Permanent, match="no other host is given one"):
                client.RegistryClient().acting(server.address, LOGIN).resolve(named(server))
        assert other.seen
        assert shown(other) == []


def test_a_realm_that_redirects_elsewhere_takes_no_login_along(server: HostileServer) -> None:
    with registry_hostile.hostile() as other:
        other.answer("/t", b'{"token":"t"}')
        challenge(server, f'Bearer realm="http://{server.address}/token"')
        server.handlers["/token"] = lambda request: request.reply(302, b"", Location=f"http://{other.address}/t")
        with pytest.raises(errors.Forbidden):
            client.RegistryClient().acting(server.address, LOGIN).resolve(named(server))
        assert other.paths == ["/t"]
        assert shown(other) == []


@pytest.mark.parametrize(
    "answer", [b"", b"\xff\xfe", b"[]", b'{"token": 7}', b'{"token": "a\\r\\nX: y"}', b"[" * 100_000, b"x" * 300_000]
)
def test_a_token_that_is_garbage(server: HostileServer, answer: bytes) -> None:
    challenge(server, f'Bearer realm="http://{server.address}/token"')
    server.answer("/token", answer)
    with pytest.raises(errors.Permanent, match=r"token is malformed|more than the") as caught:
        client.RegistryClient().acting(server.address, LOGIN).resolve(named(server))
    assert LOGIN.password not in caught.value.message


def test_a_registry_that_repeats_what_it_was_sent(server: HostileServer) -> None:
    words = f"{LOGIN.username} {LOGIN.password} {LOGIN.basic()}"
    body = json.dumps({"errors": [{"code": "DENIED", "message": words}]}).encode()
    server.handlers["*"] = lambda request: request.reply(401, body, WWW_Authenticate="Basic realm=x")
    with pytest.raises(errors.Forbidden, match=r"tester \(hidden\) \(hidden\)") as caught:
        client.RegistryClient().acting(server.address, LOGIN).resolve(named(server))
    check_words(caught.value, named(server))


def test_a_login_is_never_shown() -> None:
    assert "canary" not in f"{LOGIN} {LOGIN!r} {[LOGIN]}"
