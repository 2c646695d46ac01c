"""What a registry is asked, and shown, when it answers the anonymous in its own ways."""

from __future__ import annotations

import json

import msgspec
import pytest

from reconciler import errors
from reconciler.drivers.registry import addresses, answers, base, client, hosts, redaction, transport
from reconciler.model import references
from reconciler.model.credentials import Credentials
from reconciler.testing import images
from reconciler.testing.registry_hostile import HostileServer, Request

LOGIN = Credentials("tester", "canary-password")
IMAGE = images.build([])
BASIC = {"WWW_Authenticate": 'Basic realm="x"'}


def served(server: HostileServer) -> references.Reference:
    return references.parse(server.serve_image(IMAGE))


# the digest of a tag


@pytest.mark.parametrize("status", [400, 403, 404, 405, 406, 410, 418, 500, 501, 502, 503, 504])
def test_a_registry_that_refuses_head(server: HostileServer, status: int) -> None:
    reference = served(server)
    path = f"/v2/x/manifests/{reference.tag}"
    honest = server.handlers[path]
    server.handlers[path] = lambda request: request.reply(status) if request.command == "HEAD" else honest(request)
    assert client.RegistryClient().head(reference) == IMAGE.digest


@pytest.mark.parametrize("said", ["", "sha256:abc", "sha256:canary-password", "md5:00", IMAGE.digest.upper()])
def test_a_digest_that_is_none_is_not_believed(server: HostileServer, said: str) -> None:
    reference = served(server)
    server.answer("/v2/x/manifests/latest", IMAGE.manifest, Content_Type=IMAGE.media_type, Docker_Content_Digest=said)
    assert client.RegistryClient().head(reference) == IMAGE.digest
    assert client.RegistryClient().resolve(reference).digest == IMAGE.digest


def test_a_registry_that_wants_a_pause_is_not_asked_twice(server: HostileServer) -> None:
    server.answer("/v2/x/manifests/latest", b"", 429, Retry_After="9")
    with pytest.raises(errors.Temporary) as caught:
        client.RegistryClient().head(references.parse(f"{server.address}/x"))
    assert caught.value.delay >= 9
    assert len(server.seen) == 1


def test_an_image_that_is_gone(server: HostileServer) -> None:
    with pytest.raises(errors.NotFound, match="no such thing"):
        client.RegistryClient().head(references.parse(f"{server.address}/x"))


# a login that is there


def only_for_the_login(server: HostileServer, status: int, base: int = 401) -> None:
    """``/v2/`` answers ``base``; everything else is denied to the anonymous with ``status`` and no challenge."""
    inner = dict(server.handlers)

    def handle(request: Request) -> None:
        if request.headers.get("Authorization") == f"Basic {LOGIN.basic()}":
            inner[request.path.partition("?")[0]](request)
        elif request.path == "/v2/":
            request.reply(base, b"{}", None, **(BASIC if base == 401 else {}))
        elif status == 200:
            request.reply(200, b'{"tags": []}')
        else:
            request.reply(status, b"{}")

    server.handlers.clear()
    server.handlers["*"] = handle


@pytest.mark.parametrize("status", [403, 404, 400])
def test_an_image_that_only_a_login_sees(server: HostileServer, status: int) -> None:
    reference = served(server)
    only_for_the_login(server, status)
    view = client.RegistryClient().acting(server.address, LOGIN)
    assert view.head(reference) == view.resolve(reference).digest == IMAGE.digest
    assert server.paths.count("/v2/") == 1
    with pytest.raises(errors.PydockError):
        client.RegistryClient().resolve(reference)


def test_a_list_that_is_longer_for_a_login(server: HostileServer) -> None:
    reference = served(server)
    server.answer("/v2/x/tags/list", b'{"tags": ["1"]}')
    only_for_the_login(server, 200)
    assert client.RegistryClient().acting(server.address, LOGIN).tags(reference) == ["1"]
    assert client.RegistryClient().tags(reference) == []


@pytest.mark.parametrize("base", [200, 404, 500, 302])
def test_a_login_that_nobody_asks_for_is_not_sent(server: HostileServer, base: int) -> None:
    reference = served(server)
    view = client.RegistryClient().acting(server.address, LOGIN)
    server.answer("/v2/", b"{}", base)
    assert view.resolve(reference).digest == IMAGE.digest
    only_for_the_login(server, 403, base)
    with pytest.raises(errors.LoginNeeded, match="did not ask for the login") as caught:
        view.resolve(reference)
    assert "wrong" not in caught.value.message
    assert not any("Authorization" in headers for _, headers in server.seen)


def test_a_login_that_was_sent_is_called_wrong(server: HostileServer) -> None:
    server.handlers["*"] = lambda request: request.reply(401, b"{}", None, **BASIC)
    with pytest.raises(errors.LoginNeeded, match="the login is wrong"):
        client.RegistryClient().acting(server.address, LOGIN).resolve(references.parse(f"{server.address}/x"))


def test_a_login_that_is_refused_without_a_challenge(server: HostileServer) -> None:
    """The second answer says nothing of how to log in."""

    def handle(request: Request) -> None:
        request.reply(401, b"{}", None, **({} if "Authorization" in request.headers else BASIC))

    server.handlers["*"] = handle
    with pytest.raises(errors.LoginNeeded, match="the login is wrong"):
        client.RegistryClient().acting(server.address, LOGIN).resolve(references.parse(f"{server.address}/x"))


def test_a_token_that_was_just_made_is_not_made_again(server: HostileServer) -> None:
    challenge = f'Bearer realm="http://{server.address}/token"'
    server.handlers["*"] = lambda request: request.reply(401, b"{}", WWW_Authenticate=challenge)
    server.answer("/token", b'{"token":"abc"}')
    with pytest.raises(errors.LoginNeeded):
        client.RegistryClient().acting(server.address, LOGIN).resolve(references.parse(f"{server.address}/x"))
    assert [path.partition("?")[0] for path in server.paths].count("/token") == 1


# words of a registry


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"errors": [{"code": "DENIED", "message": None, "detail": {}}]}, "(DENIED)"),
        ({"Errors": [None, {"Code": None, "Message": "no"}]}, "(no)"),
        ({"errors": None, "details": "incorrect username or password"}, "(incorrect username or password)"),
        ({"error": "invalid_grant", "error_description": "expired"}, "(invalid_grant: expired)"),
        ({"errors": {"code": "X"}, "message": "not found"}, "(not found)"),
        ({"errors": [7], "code": 404, "message": "gone"}, "(404: gone)"),
        ({"errors": [{"code": {"a": 1}, "message": ["x"]}]}, ""),
        ([], ""),
        (None, ""),
    ],
)
def test_errors_in_many_forms(body: object, words: str) -> None:
    message = answers.failure(400, "", json.dumps(body).encode()).message
    assert message == "it answered HTTP 400" + (f" {words}" if words else "")


@pytest.mark.parametrize("token", ["e", "abc", "its", "manifest"])
def test_a_short_token_spoils_no_message(server: HostileServer, token: str) -> None:
    """Neither of its own registry nor of others; nor does a token in which our own words are."""
    challenge = f'Bearer realm="http://{server.address}/token"'

    def handle(request: Request) -> None:
        known = request.headers.get("Authorization") == f"Bearer {token}"
        request.reply(404 if known else 401, b"{}", None, **({} if known else {"WWW_Authenticate": challenge}))

    server.handlers["*"] = handle
    server.answer("/token", json.dumps({"token": token}).encode())
    driver = client.RegistryClient()
    reference = references.parse(f"{server.address}/manifest/e:abc")
    for _ in range(2):
        with pytest.raises(errors.NotFound) as caught:
            driver.resolve(reference)
        assert caught.value.message == f"image {reference}: registry {server.address}: it does not have it"
    other = references.parse(f"127.0.0.1:{images.free_port()}/its")
    with pytest.raises(errors.Temporary, match=f"^image {other}: registry {other.registry}: it cannot be reached"):
        driver.resolve(other)


@pytest.mark.parametrize("password", ["e", "it", "denied", "registry", "its manifest is malformed", "access is denied"])
def test_our_own_words_are_never_taken_out(server: HostileServer, password: str) -> None:
    login = Credentials("tester", password)
    body = json.dumps({"errors": [{"code": "DENIED", "message": f"<{password}> <{login.basic()}>"}]}).encode()
    server.handlers["*"] = lambda request: request.reply(401, body, None, **BASIC)
    with pytest.raises(errors.LoginNeeded) as caught:
        client.RegistryClient().acting(server.address, login).resolve(references.parse(f"{server.address}/x"))
    shown = password if len(password) < redaction.SHORTEST else "(hidden)"
    assert caught.value.message == (
        f"image {server.address}/x:latest: registry {server.address}: access is denied (HTTP 401) "
        f"(DENIED: <{shown}> <(hidden)>): the login is wrong, or has no right to this: pydock login {server.address}"
    )


def test_a_secret_is_taken_out_before_words_are_cut(server: HostileServer) -> None:
    login = Credentials("tester", "canary" * 100)
    body = json.dumps({"errors": [{"message": f"{'x' * 190} {login.password}"}]}).encode()
    server.handlers["*"] = lambda request: request.reply(401, body, None, **BASIC)
    with pytest.raises(errors.LoginNeeded) as caught:
        client.RegistryClient().acting(server.address, login).resolve(references.parse(f"{server.address}/x"))
    assert "canary" not in caught.value.message


def test_a_secret_with_line_ends_is_taken_out(server: HostileServer) -> None:
    login = Credentials("_json_key", '{\n  "private_key": "canary\\n"\n}\n')
    body = json.dumps({"errors": [{"message": login.password}]}).encode()
    server.handlers["*"] = lambda request: (
        request.reply(403, body) if "Authorization" in request.headers else (request.reply(401, b"", None, **BASIC))
    )
    with pytest.raises(errors.LoginNeeded, match=r"\(\(hidden\)\)") as caught:
        client.RegistryClient().acting(server.address, login).resolve(references.parse(f"{server.address}/x"))
    assert "canary" not in caught.value.message


@pytest.mark.parametrize("line", [b"canary-password\r\n\r\n", b"HTTP/1.1 canary-password\r\n\r\n"])
def test_what_is_no_http_is_not_repeated(server: HostileServer, line: bytes) -> None:
    def handle(request: Request) -> None:
        request.wfile.write(line)
        request.close_connection = True

    server.handlers["*"] = handle
    with pytest.raises(errors.Temporary, match="no HTTP") as caught:
        client.RegistryClient().acting(server.address, LOGIN).resolve(references.parse(f"{server.address}/x"))
    assert "canary" not in caught.value.message


def test_a_scheme_is_not_repeated_if_it_is_the_password(server: HostileServer) -> None:
    server.handlers["*"] = lambda request: request.reply(401, b"{}", WWW_Authenticate="canary-password x=y")
    with pytest.raises(errors.Permanent, match=r"by \(hidden\): only Basic and Bearer"):
        client.RegistryClient().acting(server.address, LOGIN).resolve(references.parse(f"{server.address}/x"))


# registries without TLS


def test_a_registry_that_is_configured_to_have_no_tls_may_lead_to_places_without() -> None:
    lan, to = "http://registry.lan:5000", "http://storage.lan:9000/x"
    assert addresses.follow(lan, lan, to, plain=True) == to
    assert addresses.follow("http://127.0.0.1", "http://127.0.0.1", to, plain=True) == to
    for url in (lan, "http://127.0.0.1", "https://registry.example"):
        with pytest.raises(errors.Permanent, match="without TLS"):
            addresses.follow(url, url, to)
    for inside in ("http://127.0.0.1/x", "http://169.254.169.254/x", "http://[::1]/x", "http://localhost/x"):
        with pytest.raises(errors.Permanent, match="of this host or link"):
            addresses.follow(lan, lan, inside, plain=True)


def test_only_what_is_said_counts_as_configured() -> None:
    table = hosts.Host(plain_http=True)
    found = hosts.Hosts({"registry.lan": table}, mirrors=["http://mirror.lan", "https://safe.lan"])
    names = ("registry.lan", "mirror.lan", "safe.lan", "127.0.0.1:5000", "a.example")
    assert [found.place(name).plain for name in names] == [True, True, False, False, False]


def test_a_token_goes_to_its_registry_without_tls_and_a_password_does_not() -> None:
    over = transport.Transport("http://registry.invalid", plain=True)
    with pytest.raises(errors.Temporary, match="cannot be resolved"):
        over.get("http://registry.invalid/v2/", {}, "Bearer abc")
    for url, proof in (("http://registry.invalid/v2/", "Basic abc"), ("http://other.invalid/", "Bearer abc"),
                       ("http://registry.invalid:81/", "Bearer abc")):  # fmt: skip
        with pytest.raises(errors.Permanent, match="without TLS: nothing was sent"):
            over.get(url, {}, proof)
    with pytest.raises(errors.Permanent, match="without TLS: nothing was sent"):
        transport.Transport("http://registry.invalid").get("http://registry.invalid/", {}, "Bearer abc")


# pushes


def test_a_blob_that_cannot_be_looked_for_is_pushed(server: HostileServer) -> None:
    data = b"blob"
    blob = msgspec.convert({"mediaType": "x", "digest": images.digest(data), "size": 4}, base.Descriptor)

    def handle(request: Request) -> None:
        replies = {"HEAD": 405, "POST": 202, "PUT": 201}
        request.reply(replies[request.command], b"", Location="/upload")

    server.handlers["*"] = handle
    reference = references.parse(f"{server.address}/x:1")
    assert client.RegistryClient().push_blob(reference, blob, lambda: iter((data,))) == "uploaded"
