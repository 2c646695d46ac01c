"""The caller's end of the engine socket."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

import msgspec

from reconciler import errors
from reconciler.ipc import frames, wire
from reconciler.requests.declaration import Request

#: seconds a job may wait until the controller takes it (it takes none while it loads)
ACCEPT_TIMEOUT = 30.0
#: seconds a job that streams nothing may take once it is taken
CALL_TIMEOUT = 60.0
#: seconds a peer may stall inside a frame
_STALL = 30.0

_BUSY_LOADING = "pydockd does not take requests yet: it is starting or overloaded; try again"
_GONE = "pydockd ended before it answered; try again"
_SLOW = "pydockd did not answer in time; look at the object before you try again"


class Stream:
    """A job that is running, seen by its caller. Iterating gives its items, still encoded, until it ends.

    Raises the job's error. ``result`` is the last value once iteration is over. Closing it tells the job to end.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._channel = frames.Channel(sock)
        self.accepted = False
        self.started = False
        self.ended = False
        self.result = msgspec.Raw(b"null")

    def fileno(self) -> int:
        """Readable when ``receive`` has something to do (but see ``pending``); -1 once closed."""
        return self._channel.sock.fileno()

    def pending(self) -> bool:
        """Whether ``receive`` can give something without the socket becoming readable."""
        return self._channel.holds_frame()

    def receive(self) -> msgspec.Raw | None:
        """Takes one frame: an item, or None when it said something else (``accepted``, ``started``, ``ended`` tell)."""
        reply = self._next_reply()
        if reply.error is not msgspec.UNSET:
            self.ended = True
            raise wire.rebuild(reply.error)
        if reply.result is not msgspec.UNSET:
            self.ended, self.result = True, reply.result
        elif reply.item is not msgspec.UNSET:
            self.started = True
            return reply.item
        self.accepted = True
        self.started = self.started or reply.state == "started"
        return None

    def _next_reply(self) -> wire.Reply:
        try:
            frame = self._channel.receive(frames.REPLY_LIMIT)
        except OSError as error:
            self.ended = True
            raise errors.Temporary(_GONE) from error
        if frame is None:
            self.ended = True
            raise errors.Temporary(_GONE)
        return wire.decode_reply(frame)

    def wait(self, deadline: float, late: str) -> None:
        """Waits until ``receive`` has something; ``Temporary(late)`` when ``deadline`` (monotonic) passes."""
        if self.pending():
            return
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        if not poll.poll(max(deadline - time.monotonic(), 0.0) * 1000):
            raise errors.Temporary(late, delay=5.0)

    def __iter__(self) -> Iterator[msgspec.Raw]:
        while not self.ended:
            self._channel.sock.settimeout(None)
            item = self.receive()
            if item is not None:
                yield item

    def send(self, payload: bytes, fds: Sequence[int], deadline: float) -> None:
        """Writes the request."""
        self._channel.sock.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            self._channel.send(payload, frames.REQUEST_LIMIT, fds)
        except TimeoutError:
            raise errors.Temporary(_BUSY_LOADING, delay=5.0) from None
        except ConnectionError:
            # The other end answered and closed without reading (it is busy): its answer is there to be read.
            pass
        self._channel.sock.settimeout(_STALL)

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class EngineClient:
    """Asks for jobs over ``control``, a connected SOCK_SEQPACKET socket; any number of threads may share it."""

    def __init__(self, control: socket.socket, accept_timeout: float = ACCEPT_TIMEOUT) -> None:
        self._control = control
        self._accept_timeout = accept_timeout
        control.settimeout(accept_timeout)

    def call(
        self,
        name: str,
        args: Request,
        fds: Sequence[int] = (),
        timeout: float = CALL_TIMEOUT,
        accept_timeout: float | None = None,
        client: int = -1,
    ) -> Any:
        """The decoded result of a job. Raises what the job raised (``reconciler.errors``), ``Temporary`` when it
        is not taken within ``accept_timeout`` or not done ``timeout`` seconds later, or when the controller goes."""
        return msgspec.json.decode(self.call_raw(name, args, fds, timeout, accept_timeout, client))

    def call_raw(
        self,
        name: str,
        args: Request,
        fds: Sequence[int] = (),
        timeout: float = CALL_TIMEOUT,
        accept_timeout: float | None = None,
        client: int = -1,
    ) -> msgspec.Raw:
        """``call`` whose result stays encoded JSON."""
        with self.stream(name, args, fds, accept_timeout, client) as stream:
            deadline = time.monotonic() + timeout
            while not stream.ended:
                stream.wait(deadline, _SLOW)
                stream.receive()
            return stream.result

    def stream(
        self,
        name: str,
        args: Request,
        fds: Sequence[int] = (),
        accept_timeout: float | None = None,
        client: int = -1,
    ) -> Stream:
        """Starts a job and returns once it is taken: a context manager to iterate over. The caller keeps its ``fds``.
        ``client`` is the socket of the client on whose behalf it is asked (-1: nobody's)."""
        asked = {"job": name, "args": args} | ({"client": True} if client >= 0 else {})
        payload = msgspec.json.encode(asked)
        if len(payload) > frames.REQUEST_LIMIT:
            raise errors.Invalid(f"the request is too large: {len(payload)} bytes, allowed are {frames.REQUEST_LIMIT}")
        deadline = time.monotonic() + (self._accept_timeout if accept_timeout is None else accept_timeout)
        stream = Stream(self._open())
        try:
            stream.send(payload, [*fds, client] if client >= 0 else fds, deadline)
            while not stream.accepted:
                stream.wait(deadline, _BUSY_LOADING)
                stream.receive()
        except BaseException:
            stream.close()
            raise
        return stream

    def _open(self) -> socket.socket:
        """Hands one end of a new stream to the controller, returns the other."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._control.sendmsg([frames.JOB], frames.rights([theirs.fileno()]))
        except OSError as error:
            ours.close()
            message = _BUSY_LOADING if isinstance(error, TimeoutError) else _GONE
            raise errors.Temporary(message, delay=5.0) from error
        finally:
            theirs.close()
        return ours
