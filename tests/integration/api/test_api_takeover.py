"""A front takes a client's connection over: what was read ahead comes along, the worker keeps nothing and goes on."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FRONT = """
import threading

from reconciler.api import connection


def owns(path):
    return path == "/echo"


def make(engine, open_streams):
    def app(environ, start_response):
        start_response("101 Switching Protocols", [])
        return connection.Takeover(environ, begin)

    return app


def begin(sock, ahead):
    threading.Thread(target=echo, args=(sock, ahead), daemon=True).start()


def echo(sock, ahead):
    with sock:
        sock.sendall(b"HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: echo\\r\\n\\r\\n" + ahead)
        while data := sock.recv(4096):
            sock.sendall(data.upper())
"""
#: serves the copy's fronts until its input ends
SERVE = """
import pathlib, sys
from reconciler.testing import engine_api

with engine_api.served(pathlib.Path(sys.argv[1])) as running:
    print(running.path, flush=True)
    sys.stdin.read()
"""
UPGRADE = b"GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    copy = tmp_path_factory.mktemp("copy")
    for name in ("reconciler", "schemas"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    fronts = copy / "reconciler" / "api" / "fronts"
    (fronts / "echo").mkdir()
    (fronts / "echo" / "__init__.py").write_text(FRONT)
    table = fronts / "table.py"
    table.write_text(table.read_text().replace("FRONTS = (\n", 'FRONTS = (\n    "echo",\n'))
    with subprocess.Popen(
        [sys.executable, "-B", "-c", SERVE, str(copy)],
        cwd=copy,
        env={"PYTHONPATH": str(copy), "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate(timeout=30)


@contextlib.contextmanager
def connected(path: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(20)
        sock.connect(path)
        yield sock


def read_until(sock: socket.socket, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        piece = sock.recv(4096)
        assert piece, data
        data += piece
    return data


def test_a_session_goes_on_beside_requests_with_what_was_read_ahead(path: str) -> None:
    with contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(connected(path)) for _ in range(100)]
        for number, sock in enumerate(sessions):
            sock.sendall(UPGRADE + b"early %d" % number)
        for number, sock in enumerate(sessions):
            head, _, ahead = read_until(sock, b"early %d" % number).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101 ")
            assert ahead == b"early %d" % number
        # more sessions than threads, and there is still one to answer
        with connected(path) as other:
            other.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert read_until(other, b"ok").startswith(b"HTTP/1.1 200")
        for sock in sessions:
            sock.sendall(b"hello")
            assert read_until(sock, b"HELLO") == b"HELLO"
        sessions[0].shutdown(socket.SHUT_WR)
        assert sessions[0].recv(10) == b""
