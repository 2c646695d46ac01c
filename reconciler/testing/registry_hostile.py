"""A registry over HTTP that says whatever a test wants, and remembers what it was asked."""

from __future__ import annotations

import contextlib
import http.server
import os
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

from reconciler.testing.images import Image

Handler = Callable[["Request"], None]


class Request(http.server.BaseHTTPRequestHandler):
    """One request; handlers write the answer with ``reply`` or by hand. ``body`` is what came with it."""

    protocol_version = "HTTP/1.1"
    server: HostileServer
    body = b""

    def do_GET(self) -> None:
        self.server.seen.append((self.path, dict(self.headers)))
        path = self.path.partition("?")[0]
        handler = self.server.handlers.get(path) or self.server.handlers.get("*")
        if handler is None:
            self.reply(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"no such thing"}]}')
        else:
            handler(self)

    def do_HEAD(self) -> None:
        self.server.heads.append(self.path)
        self.do_GET()

    def do_POST(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.do_GET()

    do_PUT = do_PATCH = do_POST

    def reply(self, status: int, body: bytes = b"", length: int | None = None, **headers: str) -> None:
        """``length`` lies about the body's. Underscores in header names stand for hyphens."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        if length is not None:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        return None


class HostileServer(http.server.ThreadingHTTPServer):
    """``handlers``: path → what to do (``*`` for any other). ``seen``: paths with headers, in order;
    ``heads``: those of them that were asked for without their content."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        super().__init__((host, 0), Request)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.handlers: dict[str, Handler] = {}
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.heads: list[str] = []

    @property
    def address(self) -> str:
        return f"{self.server_address[0]!s}:{self.server_address[1]}"

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.seen]

    def answer(self, path: str, body: bytes, status: int = 200, **headers: str) -> None:
        self.handlers[path] = lambda request: request.reply(status, body, None, **headers)

    def serve_image(self, image: Image, path: str = "x", tag: str = "latest") -> str:
        """Serves an image honestly; returns its reference."""
        for target in (tag, image.digest):
            where = f"/v2/{path}/manifests/{target}"
            self.answer(where, image.manifest, Content_Type=image.media_type, Docker_Content_Digest=image.digest)
        for digest, data in image.blobs.items():
            self.handlers[f"/v2/{path}/blobs/{digest}"] = _ranged(data)
        return f"{self.address}/{path}:{tag}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        return None


def _ranged(data: bytes) -> Handler:
    """Serves bytes, from where Range says."""

    def handle(request: Request) -> None:
        asked = request.headers.get("Range", "")
        if not asked:
            request.reply(200, data)
            return
        start = int(asked.removeprefix("bytes=").partition("-")[0])
        request.reply(206, data[start:], Content_Range=f"bytes {start}-{len(data) - 1}/{len(data)}")

    return handle


def broken(data: bytes, after: int) -> Handler:
    """Announces all, and hangs up after so many bytes."""

    def handle(request: Request) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data[:after])
        request.wfile.flush()
        request.connection.shutdown(socket.SHUT_RDWR)
        request.close_connection = True

    return handle


def reset(data: bytes, after: int) -> Handler:
    """Announces all, and resets the connection after so many bytes."""

    def handle(request: Request) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data[:after])
        request.wfile.flush()
        # closing with no time to linger sends RST (socket(7))
        request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(request.connection.detach())
        request.close_connection = True

    return handle


@contextlib.contextmanager
def hostile(tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[HostileServer]:
    server = HostileServer(tls, host)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Dripping:
    """A handler that sends ``data`` a piece at a time, with a pause (seconds) after each, until ``gate`` is opened:
    then the rest at once."""

    def __init__(self, data: bytes, piece: int = 64 << 10, pause: float = 0.05) -> None:
        self.data, self.gate = data, threading.Event()
        self._piece, self._pause = piece, pause

    def __call__(self, request: Request) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(self.data)))
        request.end_headers()
        sent = 0
        while sent < len(self.data):
            end = len(self.data) if self.gate.is_set() else sent + self._piece
            request.wfile.write(self.data[sent:end])
            sent = end
            self.gate.wait(self._pause)
