"""HTTP/1.1 over a unix socket: as much of it as pydock's own API speaks.

Not ``http.client``, because importing that (with the email package behind it) takes 17 ms of the 40 ms in which a
command starts; this takes 2. Answers are framed by Content-Length, by chunks or by the end of the connection.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from reconciler import errors

#: seconds of silence on a stream after which the server is asked whether it still lives, and for that answer
QUIET = 15.0
PROBE = 10.0
#: seconds to wait for the answer of an ordinary request; a starting daemon lets requests wait, so this is patient
PATIENCE = 60.0
#: seconds of one wait for bytes: a Ctrl-C that comes just before the wait begins does not end it, only the next one
_SLICE = 0.5
_LINE = 64 * 1024
_HEADERS = 100
_PIECE = 64 * 1024
_NO_BODY = (204, 304)
#: methods that may be sent again when nobody knows whether the server saw them (our only PATCH declares a whole)
_HARMLESS_TWICE = ("GET", "PATCH")


class Unreachable(errors.Temporary):
    """the server cannot be reached"""


class Cut(Unreachable):
    """the server closed the connection before its answer was complete"""


class Silent(Unreachable):
    """the server does not answer any more"""


class TimedOut(errors.Temporary):
    """the server did not answer in time"""


class Head(NamedTuple):
    """``headers`` have lower-case names; the last of several equal ones counts."""

    status: int
    headers: Mapping[str, str]


class Response:
    """One answer. Its body is read once, by one of ``read``, ``chunks`` and ``lines``."""

    def __init__(self, head: Head, body: Iterator[bytes]) -> None:
        self.status = head.status
        self.headers = head.headers
        self._body = body

    def read(self) -> bytes:
        return b"".join(self._body)

    def chunks(self) -> Iterator[bytes]:
        """The body in pieces, each as soon as it is there."""
        return self._body

    def lines(self) -> Iterator[bytes]:
        """The body's lines without their ends, each as soon as it is complete; empty ones are left out."""
        rest = b""
        for piece in self._body:
            *complete, rest = (rest + piece).split(b"\n")
            yield from filter(None, complete)
        if rest:
            yield rest


class Connection:
    """One connection to the socket at ``path``, opened when needed and kept for the next request."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._socket: socket.socket | None = None
        self._buffer = bytearray()
        self._busy = self._heard = False
        self._timeout: float | None = PATIENCE
        #: the monotonic moment after which no answer is waited for, whatever a request says; None never comes
        self.limit: float | None = None

    def request(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout: float | None = PATIENCE,
    ) -> Response:
        """Sends one request and reads the answer's head; the body follows as the response is read.

        ``timeout`` bounds each wait for bytes, in seconds; None waits as long as the server lives, which is asked
        whenever it has been silent for a while. Raises ``Unreachable``, ``Cut``, ``TimedOut``, ``Silent``.
        """
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost", "User-Agent: pydock"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if body or method not in ("GET", "HEAD"):
            lines.append(f"Content-Length: {len(body)}")
        data = "\r\n".join([*lines, "", ""]).encode("ascii") + body
        used = self._open()
        try:
            head = self._ask(data, timeout)
        except Cut:
            if self._heard or not used or method not in _HARMLESS_TWICE:
                raise
            self._open()  # the server closed the idle connection just as it was used again
            head = self._ask(data, timeout)
        return Response(head, self._body(head))

    def upload(
        self, target: str, pieces: Iterable[bytes], length: int | None, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Sends a POST whose body comes in ``pieces``, ``length`` bytes in all (None: nobody knows; it goes in chunks),
        and waits for the answer as long as the server lives. A server that does not want all of it says why."""
        framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        lines = [f"POST {target} HTTP/1.1", "Host: localhost", "User-Agent: pydock", framing]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self._open()
        self._busy, self._heard, self._timeout = True, False, None
        try:
            self._put("\r\n".join([*lines, "", ""]).encode("ascii"))
            for piece in filter(None, pieces):
                self._put(piece if length is not None else b"%x\r\n%b\r\n" % (len(piece), piece))
            if length is None:
                self._put(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass  # as in _send
        except BaseException:
            self.close()  # the server must not take this for all
            raise
        head = self._head()
        return Response(head, self._body(head))

    def _put(self, data: bytes) -> None:
        assert self._socket is not None
        self._socket.settimeout(_SLICE)
        life, rest = _Life(self._path), memoryview(data)
        while rest:
            try:
                rest = rest[self._socket.send(rest, socket.MSG_NOSIGNAL) :]
                life = _Life(self._path)
            except TimeoutError:
                life.check()

    def _ask(self, data: bytes, timeout: float | None) -> Head:
        self._busy, self._heard = True, False
        left = None if self.limit is None else max(self.limit - time.monotonic(), 0.0)
        self._timeout = min((each for each in (timeout, left) if each is not None), default=None)
        self._send(data)
        return self._head()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._buffer.clear()
        self._busy = False

    def _open(self) -> bool:
        """Whether the connection was used before: it is used again when its last answer was read to the end and the
        server still holds it."""
        if self._socket is not None and (self._busy or self._dropped()):
            self.close()
        if self._socket is not None:
            return True
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(PATIENCE)
            connection.connect(self._path)
        except OSError as error:
            connection.close()
            raise Unreachable(_why(self._path, error)) from None
        self._socket = connection
        return False

    def _dropped(self) -> bool:
        """Between two requests the server has nothing to say: anything to read is the end of the connection."""
        assert self._socket is not None
        self._socket.setblocking(False)
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    def _send(self, data: bytes) -> None:
        assert self._socket is not None
        self._socket.settimeout(PATIENCE)
        try:
            self._socket.sendall(data, socket.MSG_NOSIGNAL)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server may have answered before it read all, and that answer tells more
        except TimeoutError:
            self.close()
            raise TimedOut from None

    def _receive(self) -> bytes:
        """What comes next; nothing at the end of the connection."""
        if self._socket is None:
            raise Cut
        end = None if self._timeout is None else time.monotonic() + self._timeout
        life = _Life(self._path)
        while end is None or time.monotonic() < end:
            self._socket.settimeout(_SLICE if end is None else min(_SLICE, max(end - time.monotonic(), 0.001)))
            try:
                return self._socket.recv(_PIECE)
            except TimeoutError:
                if self._timeout is None or self._timeout > PATIENCE:
                    life.check()
            except OSError:
                return b""
        self.close()
        raise TimedOut(f"the server at unix://{self._path} did not answer within {self._timeout:g} seconds")

    def _fill(self) -> None:
        piece = self._receive()
        if not piece:
            self.close()
            raise Cut(f"the server at unix://{self._path} closed the connection before its answer was complete")
        self._heard = True
        self._buffer += piece

    def _line(self) -> str:
        start = 0
        while (end := self._buffer.find(b"\n", start)) < 0:
            start = len(self._buffer)
            if start > _LINE:
                raise self._nonsense("a line of its answer is too long")
            self._fill()
        line = self._buffer[:end].rstrip(b"\r").decode("latin-1")
        del self._buffer[: end + 1]
        return line

    def _nonsense(self, what: str) -> errors.Permanent:
        self.close()
        return errors.Permanent(f"what listens at unix://{self._path} does not speak HTTP as pydockd does: {what}")

    def _head(self) -> Head:
        while True:
            version, _, rest = self._line().partition(" ")
            if not version.startswith("HTTP/1.") or not rest[:3].isdecimal():
                raise self._nonsense(f"its answer begins with {version[:40]!r}")
            head = Head(int(rest[:3]), self._headers())
            if head.status >= 200:
                return head

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        for _ in range(_HEADERS):
            line = self._line()
            if not line:
                return headers
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        raise self._nonsense("its answer has too many headers")

    def _body(self, head: Head) -> Iterator[bytes]:
        if head.headers.get("transfer-encoding", "").lower() == "chunked":
            yield from self._chunked()
        elif "content-length" in head.headers:
            yield from self._exactly(self._length(head.headers["content-length"], 10))
        elif head.status not in _NO_BODY:
            yield from self._to_the_end()
            return
        self._busy = False
        if head.headers.get("connection", "").lower() == "close":
            self.close()

    def _chunked(self) -> Iterator[bytes]:
        while length := self._length(self._line().partition(";")[0].strip(), 16):
            yield from self._exactly(length)
            self._line()
        while self._line():
            pass  # trailers

    def _length(self, text: str, base: int) -> int:
        try:
            return int(text, base)
        except ValueError:
            raise self._nonsense(f"{text[:40]!r} is no length") from None

    def _exactly(self, length: int) -> Iterator[bytes]:
        while length > 0:
            if not self._buffer:
                self._fill()
            piece = bytes(self._buffer[:length])
            del self._buffer[: len(piece)]
            length -= len(piece)
            yield piece

    def _to_the_end(self) -> Iterator[bytes]:
        while self._buffer or (piece := self._receive()):
            if self._buffer:
                piece = bytes(self._buffer)
                self._buffer.clear()
            yield piece
        self.close()


class _Life:
    """Whether a server that has long been silent still lives; begins to count when it is made."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._heard = time.monotonic()
        self._asked = self._heard

    def check(self) -> None:
        """Asks once in a while. Raises ``Silent`` when nobody answers, or when only its front does and has long."""
        now = time.monotonic()
        if now - self._asked < QUIET:
            return
        if self._answers():
            self._heard = time.monotonic()
        elif now - self._heard > PATIENCE:
            raise self._silent("its controller does not answer")
        self._asked = time.monotonic()

    def _answers(self) -> bool:
        """Whether the controller behind the server answers too."""
        connection = Connection(self._path)
        try:
            response = connection.request("GET", "/readyz", timeout=PROBE)
            response.read()
            return response.status < 300
        except TimedOut:
            raise self._silent(f"it did not answer within {PROBE:g} seconds whether it lives") from None
        finally:
            connection.close()

    def _silent(self, why: str) -> Silent:
        return Silent(f"the server at unix://{self._path} does not answer any more: {why}")


def _why(path: str, error: OSError) -> str:
    start = f"cannot reach the server at unix://{path}"
    if isinstance(error, FileNotFoundError):
        return f"{start}: there is no such socket. Is pydockd running?"
    if isinstance(error, ConnectionRefusedError):
        return f"{start}: nothing listens there. Is pydockd running?"
    if isinstance(error, PermissionError):
        return f"{start}: permission denied. Run as root, or as a member of the socket's group"
    if isinstance(error, TimeoutError):
        return f"{start}: it does not accept connections"
    return f"{start}: {error.strerror or error}"
