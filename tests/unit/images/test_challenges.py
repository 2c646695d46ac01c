"""How a registry asks for a login (RFC 9110, section 11), and what its token server answers."""

from __future__ import annotations

import json

import pytest

from reconciler import errors
from reconciler.drivers.registry import auth, client
from reconciler.model import references
from reconciler.model.credentials import Credentials
from reconciler.testing import images
from reconciler.testing.registry_hostile import HostileServer, Request

URL = "https://a.example/t"


@pytest.mark.parametrize(
    "header",
    [
        f'Bearer realm="{URL}",service="s"',
        f'bearer  realm = "{URL}" ,\tSERVICE\t= "s"',
        f'Bearer error="invalid_token",error_description="expired, basic auth only",realm="{URL}",service="s"',
        f'Bearer error_description="say \\"realm=x\\", or \\\\",realm="{URL}",service="s"',
        f'Bearer error_description="a,realm=\\"b\\"", realm="{URL}", service="s"',
        f'Negotiate, NTLM, Bearer realm="{URL}",service="s"',
        f'Negotiate YII+/9Q==, Bearer realm="{URL}",service="s"',
        f'Digest realm="a, Bearer realm=\\"b\\"", nonce="c", Bearer realm="{URL}",service="s"',
        f'AWS4-HMAC-SHA256 realm="b" , , Basic realm="x", Bearer realm="{URL}",service="s",',
        f', Bearer realm="{URL}",service="s", Basic realm="Bearer"',
        f'Bearer realm="{URL}" service="s"',
        f'Basic realm="x" Bearer realm="{URL}",service=s',
        f'Bearer service="s", Bearer realm="{URL}", service="s"',
        f"Bearer realm={URL},service=s",
        f'Bearer realm="{URL}",x_1!#$="y",service="s"',
        f'Bearer service="s",realm="{URL}',
        'Bearer realm="https:\\/\\/a.example/t",service="\\s"',
    ],
)
def test_a_token_is_asked_for(header: str) -> None:
    assert auth.parse_challenge(header) == ("bearer", URL, "s")


@pytest.mark.parametrize(
    "headers",
    [
        ("Negotiate", f'Bearer realm="{URL}"'),
        (f'Bearer realm="{URL}"', 'Basic realm="x'),
        ('Basic realm="not closed', f'Bearer realm="{URL}"'),
        ("", "Bearer", f'Bearer realm="{URL}"'),
    ],
)
def test_several_headers(headers: tuple[str, ...]) -> None:
    assert auth.parse_challenge(*headers) == ("bearer", URL, "")


@pytest.mark.parametrize(
    "header",
    ['Basic realm="x"', "basic", "BASIC realm=x, charset=UTF-8", "Negotiate,Basic", 'Bearer service="x", Basic',
     'Bearer realm="", Basic realm="Bearer realm=x"', 'Digest realm="x", Basic realm="y"'],
)  # fmt: skip
def test_a_password_is_asked_for(header: str) -> None:
    assert auth.parse_challenge(header).scheme == "basic"


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("", "does not say how"),
        (" , ,", "does not say how"),
        ("Bearer", "does not say where"),
        ('Bearer service="x"', "does not say where"),
        ("Negotiate, NTLM", "negotiate, ntlm"),
        ("Basically x=y", "basically"),
        ('Digest realm="Basic", qop="a, Bearer realm=\\"b\\""', "digest"),
        ('realm="x"', "does not say how"),
        ("B" * 60_000, "it asks"),
        ('Bearer x="' + "\\" * 60_001, "it asks"),
    ],
)
def test_what_cannot_be_answered(header: str, words: str) -> None:
    with pytest.raises(errors.Permanent, match=words) as caught:
        auth.parse_challenge(header)
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(
    ("answer", "token", "life"),
    [
        ('{"token":"abc","access_token":null,"expires_in":null,"issued_at":null}', "abc", 60),
        ('{"token":null,"access_token":"abc","expires_in":120.5}', "abc", 120.5),
        ('{"Token":"abc","Expires_In":120}', "abc", 120),
        ('{"ACCESS_TOKEN":"abc","token":""}', "abc", 60),
        ('{"token":"abc","expires_in":"120"}', "abc", 120),
        ('{"token":"abc","expires_in":"soon"}', "abc", 60),
        ('{"token":"abc","expires_in":true}', "abc", 60),
        ('{"token":"abc","expires_in":[]}', "abc", 60),
        ('{"token":"abc","expires_in":-5}', "abc", 60),
        ('{"token":"abc","expires_in":1' + "0" * 400 + "}", "abc", 3600),
        ('{"token":"abc","access_token":"def"}', "abc", 60),
        ('{"token":"abc","scope":7,"refresh_token":null}', "abc", 60),
    ],
)
def test_tokens_of_all_kinds(answer: str, token: str, life: float) -> None:
    assert auth.parse_token(answer.encode()) == (token, life)


@pytest.mark.parametrize("answer", [b'{"token":null}', b'{"token":[]}', b'{"token":{"a":1}}', b"null", b"7", b'"abc"'])
def test_tokens_that_are_none(answer: bytes) -> None:
    with pytest.raises(errors.Permanent, match="token"):
        auth.parse_token(answer)


def guard(server: HostileServer, challenge: str, proof: str, *more: str) -> None:
    """What is served is served to whoever shows ``proof``; others are sent ``challenge``, and ``more`` in headers of
    their own."""
    inner = dict(server.handlers)

    def handle(request: Request) -> None:
        if request.headers.get("Authorization") == proof:
            inner[request.path](request)
            return
        request.send_response(401)
        for each in (challenge, *more):
            request.send_header("WWW-Authenticate", each)
        request.send_header("Content-Length", "0")
        request.end_headers()

    server.handlers.clear()
    server.handlers["*"] = handle


def test_a_token_server_is_not_told_a_service_that_nobody_named(server: HostileServer) -> None:
    reference = references.parse(server.serve_image(images.build([])))
    guard(server, "Negotiate", "Bearer abc", f'Bearer realm="http://{server.address}/token"')
    server.answer("/token", b'{"access_token":"abc","token":null}')
    client.RegistryClient().resolve(reference)
    assert [path for path in server.paths if path.startswith("/token")] == ["/token?scope=repository%3Ax%3Apull"]


def test_only_a_scope_that_there_is_is_asked_for(server: HostileServer) -> None:
    server.answer("/v2/", b"{}")
    guard(server, f'Bearer realm="http://{server.address}/token"', "Bearer abc")
    server.answer("/token", json.dumps({"token": "abc"}).encode())
    client.RegistryClient().acting(server.address, Credentials("me", "password")).login(server.address)
    assert [path for path in server.paths if path.startswith("/token")] == ["/token"]
