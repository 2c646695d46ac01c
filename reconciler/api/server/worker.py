"""gunicorn's threaded worker, changed so that slow, silent and lingering clients hold no thread.

The event loop collects each request, and drains what a refused client still sends, without blocking; threads only
ever see requests that are there in full.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import selectors
import signal
import socket
import struct
import time
from collections.abc import Iterator
from concurrent import futures
from functools import partial
from typing import Any

from gunicorn.http import errors as http
from gunicorn.workers import base, gthread

from reconciler.api import connection, status
from reconciler.api.server import privileges
from reconciler.api.server.heartbeat import Heartbeat
from reconciler.api.server.intake import Intake, State
from reconciler.api.server.threads import Threads

#: seconds in which a whole request must arrive, and a refused client's rest is read
_REQUEST_SECONDS = 30.0
_LINGER_SECONDS = 2.0
#: seconds without progress after which a thread gives up on its client
_STALL_SECONDS = 10
#: … and upon one that sends an archive, which somebody may be making meanwhile
_FLOW_SECONDS = 300
#: seconds between two looks at nothing
_IDLE_SECONDS = 10.0
#: bytes held for requests that are not complete, all clients together
_HELD_LIMIT = 64 << 20
#: bytes read and thrown away of a refused client
_DRAIN_LIMIT = 32 << 20
_READ = 1 << 16

# gunicorn's own is a file that it touches all the time, on whatever disk the temporary directory is.
base.WorkerTmp = Heartbeat


class Connection(gthread.TConn):  # type: ignore[misc]
    """One client: ``intake`` while its next request arrives, until ``deadline`` (monotonic)."""

    def __init__(self, cfg: Any, sock: socket.socket, client: Any, server: Any) -> None:
        super().__init__(cfg, sock, client, server)
        self.data_ready = True
        self.intake = Intake()
        self.deadline = 0.0
        self.drained = 0


class Flow:
    """The socket of a body that flows, whose sender may be slow: reading waits for ``_FLOW_SECONDS``, and ends when
    ``stopping`` is readable."""

    def __init__(self, sock: socket.socket, stopping: int) -> None:
        self._sock = sock
        self._stopping = stopping
        self._poll = select.poll()
        for number in (sock.fileno(), stopping):
            self._poll.register(number, select.POLLIN)

    def recv(self, size: int) -> bytes:
        """Raises ``TimeoutError``, or ``ConnectionAbortedError`` when the server stops."""
        ready = {number for number, _ in self._poll.poll(_FLOW_SECONDS * 1000)}
        if self._stopping in ready:
            raise ConnectionAbortedError(errno.ECONNABORTED, "the server stops")
        if not ready:
            raise TimeoutError(errno.ETIMEDOUT, "the client sends nothing")
        return self._sock.recv(size)


class Worker(gthread.ThreadWorker):  # type: ignore[misc]
    """See the module. ``app.context`` ties it to the process' life."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        # Both in the order of their deadlines, as every entry gets the same time.
        self._collecting: dict[Connection, None] = {}
        self._lingering: dict[Connection, None] = {}
        self._held = 0

    # Life

    def init_process(self) -> None:
        privileges.die_with_parent(self.ppid, signal.SIGKILL)
        super().init_process()

    def run(self) -> None:
        self.poller.register(self.app.context.control, selectors.EVENT_READ, self._on_control)
        self.app.context.announce()
        super().run()

    def get_thread_pool(self) -> Threads:
        return Threads(self.cfg.threads)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM: streams end, requests are answered."""
        self.app.context.stop()
        super().handle_exit(sig, frame)

    def _on_control(self, control: socket.socket) -> None:
        """The controller asks for a sign of life; or this is its end, an error when it left requests unread."""
        with contextlib.suppress(ConnectionError):
            if asked := control.recv(1, socket.MSG_DONTWAIT):
                with contextlib.suppress(OSError):  # it does not listen yet: it asks again
                    control.send(asked, socket.MSG_DONTWAIT)
                return
        self.poller.unregister(control)
        self.handle_exit(signal.SIGTERM, None)
        os.kill(self.ppid, signal.SIGTERM)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        idle = self.nr_conns == 0 and self.alive
        super().wait_for_and_dispatch_events(_IDLE_SECONDS if idle else timeout)

    def _cap_keepalive(self, deadline: float) -> None:
        """A stopping worker keeps no idle connection."""
        super()._cap_keepalive(time.monotonic())

    # Connections that arrive, and requests that do

    def accept(self, listener: socket.socket) -> None:
        try:
            sock, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        if self.nr_conns >= self.worker_connections - 1:
            self._shed()
        self.nr_conns += 1
        stall = struct.pack("ll", _STALL_SECONDS, 0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, stall)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, stall)
        self._collect(Connection(self.cfg, sock, address, listener.getsockname()))

    def on_client_socket_readable(self, conn: Connection, client: socket.socket) -> None:
        """A kept connection sends its next request."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._collect(conn)

    def _collect(self, conn: Connection, data: bytes = b"") -> None:
        """Waits for a request of which ``data`` is there."""
        conn.sock.setblocking(False)
        conn.intake = Intake()
        conn.deadline = time.monotonic() + _REQUEST_SECONDS
        self._collecting[conn] = None
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._on_bytes, conn))
        if data:
            self._advance(conn, data)
        else:
            self._on_bytes(conn, conn.sock)

    def _on_bytes(self, conn: Connection, sock: socket.socket) -> None:
        try:
            data = sock.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._advance(conn, data)
        else:
            self._stop_collecting(conn)
            self._close(conn)

    def _advance(self, conn: Connection, data: bytes) -> None:
        asked = conn.intake.wants_continue
        state = conn.intake.feed(data)
        self._held += len(data)
        if state is State.READY:
            self._hand_over(conn)
        elif state is State.HUGE:
            self._refuse(conn, 431, "the request's headers are too large")
        elif self._held > _HELD_LIMIT:
            self._refuse(conn, 503, "too many requests are being sent at once")
        elif conn.intake.wants_continue and not asked:
            _send_now(conn.sock, b"HTTP/1.1 100 Continue\r\n\r\n")

    def _hand_over(self, conn: Connection) -> None:
        """The request is there: a thread answers it."""
        self._stop_collecting(conn)
        conn.init()
        conn.parser.unreader.unread(bytes(conn.intake.buffer))
        if conn.intake.flows:
            conn.parser.unreader.sock = Flow(conn.sock, self.app.context.stopping)
            conn.parser.unreader.mxchunk = _READ
            if conn.intake.wants_continue and not conn.intake.whole:
                _send_now(conn.sock, b"HTTP/1.1 100 Continue\r\n\r\n")
        conn.intake.buffer.clear()
        self.enqueue_req(conn)

    def _stop_collecting(self, conn: Connection) -> None:
        self.poller.unregister(conn.sock)
        del self._collecting[conn]
        self._held -= len(conn.intake.buffer)

    def _refuse(self, conn: Connection, code: int, message: str) -> None:
        self._stop_collecting(conn)
        _send_now(conn.sock, _response(code, message))
        self._linger(conn)

    def _shed(self) -> None:
        """Makes room at once by ending who has been idle or slow for longest."""
        if self._lingering:
            self._end_linger(next(iter(self._lingering)))
        elif self.keepalived_conns:
            conn = self.keepalived_conns.popleft()
            self.poller.unregister(conn.sock)
            self._close(conn)
        elif self._collecting:
            conn = next(iter(self._collecting))
            self._stop_collecting(conn)
            _send_now(conn.sock, _response(503, "too many connections"))
            self._close(conn)

    # Requests that were answered

    def handle_request(self, req: Any, conn: Connection) -> Any:
        if conn.intake.wants_continue:
            req._expected_100_continue = False
        with connection.reading(conn.parser.unreader.take_buffered):
            return super().handle_request(req, conn)

    def _keepalive_after(self, conn: Connection, keepalive: bool) -> bool:
        """Without the whole body nobody knows where the next request would start: the connection ends, is drained
        by the loop."""
        return keepalive and conn.intake.whole and super()._keepalive_after(conn, keepalive)

    def finish_request(self, conn: Connection, future: futures.Future[Any]) -> None:
        """In the event loop, after a thread is done with a request."""
        if not self.alive or future.cancelled() or future.exception() is not None or not future.result():
            self._linger(conn)
            return
        ahead = conn.parser.unreader.take_buffered()
        if ahead:
            self._collect(conn, ahead)
        else:
            super().finish_request(conn, future)

    def _linger(self, conn: Connection) -> None:
        """Ends a connection so that its client gets to read the answer, though it may still be sending."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(conn)
            return
        conn.sock.setblocking(False)
        conn.deadline = time.monotonic() + _LINGER_SECONDS
        self._lingering[conn] = None
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._on_rest, conn))

    def _on_rest(self, conn: Connection, sock: socket.socket) -> None:
        try:
            size = len(sock.recv(_READ))
        except BlockingIOError:
            return
        except OSError:
            size = 0
        conn.drained += size
        if size == 0 or conn.drained > _DRAIN_LIMIT:
            self._end_linger(conn)

    def _end_linger(self, conn: Connection) -> None:
        del self._lingering[conn]
        self.poller.unregister(conn.sock)
        self._close(conn)

    def _close(self, conn: Connection) -> None:
        self.nr_conns -= 1
        conn.close()

    def murder_pending(self) -> None:
        """Ends who did not send a whole request, or would not leave, in time."""
        for conn in self._late(self._collecting):
            if conn.intake.buffer:
                self._refuse(conn, 408, "the request did not arrive in time")
            else:
                self._stop_collecting(conn)
                self._close(conn)
        for conn in self._late(self._lingering):
            self._end_linger(conn)

    def _late(self, waiting: dict[Connection, None]) -> list[Connection]:
        return list(_until_punctual(waiting, time.monotonic() if self.alive else float("inf")))

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Answers a request that gunicorn could not parse, or that broke it."""
        code = next((code for kinds, code in _CODES if isinstance(exc, kinds)), 500)
        if code == 500:
            self.log.exception("a request failed outside of the application")
        message = "the server failed" if code == 500 else f"not a valid HTTP request: {exc}"
        _send_now(client, _response(code, message))


_CODES: tuple[tuple[tuple[type[Exception], ...], int], ...] = (
    ((http.LimitRequestLine,), 414),
    ((http.LimitRequestHeaders,), 431),
    ((http.UnsupportedTransferCoding,), 501),
    ((http.ExpectationFailed,), 417),
    ((http.InvalidResponseHeader, http.InvalidResponseHeaderName, http.ConfigurationProblem), 500),
    ((http.ParseException,), 400),
)


def _until_punctual(waiting: dict[Connection, None], now: float) -> Iterator[Connection]:
    for conn in waiting:
        if conn.deadline > now:
            return
        yield conn


def _response(code: int, message: str) -> bytes:
    """A whole response that ends its connection."""
    body = status.body(code, status.reason_of(code), message)
    head = f"HTTP/1.1 {status.line(code)}\r\nConnection: close\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode("latin-1") + body


def _send_now(sock: socket.socket, data: bytes) -> None:
    """Sends what the socket takes without waiting: a client that does not read loses it."""
    try:
        sock.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
    except OSError:
        return
