"""Real registries that want a login: Debian's docker-registry with passwords, and with a small real token server."""

from __future__ import annotations

import base64
import contextlib
import ctypes
import http.server
import json
import os
import pathlib
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from reconciler.model.credentials import Credentials
from reconciler.testing import images

SERVICE, ISSUER = "pydock-tests", "pydock-token-server"


def htpasswd(login: Credentials) -> str:
    """A line of a password file. docker-registry takes bcrypt only, which Debian's libcrypt has."""
    crypt = ctypes.CDLL("libcrypt.so.1").crypt
    crypt.restype = ctypes.c_char_p
    hashed: bytes = crypt(login.password.encode(), b"$2b$05$" + b"a" * 22)
    return f"{login.username}:{hashed.decode()}\n"


@contextlib.contextmanager
def with_password(open_registry: images.Server, login: Credentials) -> Iterator[images.Server]:
    """A second registry over the data of ``open_registry``, which takes Basic authentication with ``login`` only."""
    with tempfile.NamedTemporaryFile("w", prefix="pydock-htpasswd-") as file:
        file.write(htpasswd(login))
        file.flush()
        auth = f"auth:\n  htpasswd: {{realm: tests, path: {file.name}}}\n"
        server = images.start_registry(open_registry.directory, auth=auth)
        try:
            yield server
        finally:
            server.stop()


class TokenServer(http.server.ThreadingHTTPServer):
    """Makes tokens (https://distribution.github.io/distribution/spec/auth/jwt/): for ``login`` of anything, for others
    of nothing; a wrong login is refused. ``asked``: query and Authorization of each request."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, directory: pathlib.Path, login: Credentials) -> None:
        super().__init__(("127.0.0.1", 0), _TokenRequest)
        self.login = login
        self.asked: list[tuple[dict[str, str], str]] = []
        self.key, self.certificate = directory / "key.pem", directory / "certificate.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={ISSUER}",
             "-keyout", str(self.key), "-out", str(self.certificate)],
            check=True, capture_output=True,
        )  # fmt: skip

    @property
    def realm(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/token"

    def token(self, scope: str, *, known: bool) -> str:
        access = []
        for each in scope.split() if known else ():
            kind, _, rest = each.partition(":")
            name, _, actions = rest.rpartition(":")
            access.append({"type": kind, "name": name, "actions": actions.split(",")})
        certificate = "".join(self.certificate.read_text().splitlines()[1:-1])
        now = int(time.time())
        claims = {
            "iss": ISSUER, "sub": "", "aud": SERVICE, "exp": now + 300, "nbf": now - 30, "iat": now, "jti": "1",
            "access": access,
        }  # fmt: skip
        signed = f"{_part({'typ': 'JWT', 'alg': 'RS256', 'x5c': [certificate]})}.{_part(claims)}"
        command = ["openssl", "dgst", "-sha256", "-sign", str(self.key)]
        made = subprocess.run(command, input=signed.encode(), check=True, capture_output=True)
        return f"{signed}.{_base64(made.stdout)}"


class _TokenRequest(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: TokenServer

    def do_GET(self) -> None:
        query = {name: " ".join(values) for name, values in parse_qs(urlsplit(self.path).query).items()}
        proof = self.headers.get("Authorization", "")
        self.server.asked.append((query, proof))
        known = proof == f"Basic {self.server.login.basic()}"
        if proof and not known:
            self._reply(401, {"errors": [{"code": "UNAUTHORIZED", "message": f"who is {proof}?"}]})
        else:
            self._reply(200, {"token": self.server.token(query.get("scope", ""), known=known), "expires_in": 300})

    def _reply(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        return None


def _part(document: dict[str, Any]) -> str:
    return _base64(json.dumps(document).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@contextlib.contextmanager
def with_tokens(open_registry: images.Server, login: Credentials) -> Iterator[tuple[images.Server, TokenServer]]:
    """A second registry over the data of ``open_registry``, which takes tokens of the returned server only."""
    with tempfile.TemporaryDirectory(prefix="pydock-tokens-") as directory:
        tokens = TokenServer(pathlib.Path(directory), login)
        thread = threading.Thread(target=tokens.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        auth = (
            f"auth:\n  token: {{realm: '{tokens.realm}', service: {SERVICE}, issuer: {ISSUER}, "
            f"rootcertbundle: {tokens.certificate}}}\n"
        )
        try:
            server = images.start_registry(open_registry.directory, auth=auth)
            try:
                yield server, tokens
            finally:
                server.stop()
        finally:
            tokens.shutdown()
            tokens.server_close()
            thread.join()


def credential_helper(directory: pathlib.Path, monkeypatch: pytest.MonkeyPatch, name: str) -> pathlib.Path:
    """Puts a credential helper on the path that keeps one login a file in a directory of its own, which is returned."""
    kept, program = directory / "kept", directory / "bin" / f"docker-credential-{name}"
    kept.mkdir()
    program.parent.mkdir()
    program.write_text(
        "#!/usr/bin/env python3\n"
        "import json, pathlib, sys\n"
        f"kept, text = pathlib.Path({str(kept)!r}), sys.stdin.read().strip()\n"
        "file = kept / (json.loads(text)['ServerURL'] if sys.argv[1] == 'store' else text).replace('/', '_')\n"
        "if sys.argv[1] == 'store': file.write_text(text)\n"
        "elif not file.exists(): sys.exit(print('credentials not found in native keychain') or 1)\n"
        "elif sys.argv[1] == 'get': print(file.read_text())\n"
        "else: file.unlink()\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return kept
