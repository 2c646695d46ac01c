"""The controller's end of the engine socket."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Collection
from typing import Any

import msgspec

from reconciler import errors
from reconciler.ipc import frames, peers, wire
from reconciler.ipc.pool import Pool
from reconciler.model.callers import Caller

_log = logging.getLogger(__name__)

#: seconds a caller may take to send its request
_REQUEST_TIMEOUT = 10.0
_LEFT = select.POLLRDHUP | select.POLLHUP | select.POLLERR | select.POLLNVAL
_BUSY = errors.Temporary("pydockd is busy: too many requests at once", delay=1.0)


class Call:
    """One request, as its handler sees it: ``name``, ``args`` (unchecked JSON values), ``fds``, and ``caller``, the
    client on whose behalf it is made (None: nobody can tell).

    A handler answers with ``result`` or ``error``, once; a streaming one calls ``started`` when nothing can go wrong
    any more that the caller should hear as an error, then ``emit``. ``fds`` are closed when the handler returns: dup
    what must live longer. Whoever waits long waits on ``fileno`` too.
    """

    def __init__(
        self, channel: frames.Channel, asked: wire.Asked, fds: tuple[int, ...], caller: Caller | None = None
    ) -> None:
        self.name = asked.job
        self.args = asked.args
        self.fds = fds
        self.caller = caller
        self.answered = False
        self._channel = channel

    def fileno(self) -> int:
        """Becomes readable (end of file) when the caller leaves, and for no other reason."""
        return self._channel.sock.fileno()

    def closed(self) -> bool:
        """Whether the caller has left: nobody waits for the answer."""
        poll = select.poll()
        poll.register(self.fileno(), select.POLLRDHUP)
        return any(event & _LEFT for _, event in poll.poll(0))

    def started(self) -> None:
        """Tells the caller that the stream is open, before the first item."""
        self._send(wire.STARTED)

    def emit(self, item: Any) -> None:
        """Sends one item; waits while the caller does not read. Raises ``CallerLeft`` when it has gone."""
        self._send(wire.encode_item(item))

    def result(self, value: Any) -> None:
        """Ends the job well. ``value`` is anything msgspec encodes; parts of type ``msgspec.Raw`` go as they are."""
        payload = wire.encode_result(value)
        if len(payload) > frames.REPLY_LIMIT:
            size, most = len(payload) >> 20, frames.REPLY_LIMIT >> 20
            raise errors.Permanent(
                f"the answer has {size} MiB, more than {most}: narrow it with a selector or a namespace"
            )
        self._send(payload)
        self.answered = True

    def error(self, error: errors.PydockError) -> None:
        """Ends the job badly."""
        self._send(wire.encode_error(error))
        self.answered = True

    def _send(self, payload: bytes) -> None:
        try:
            self._channel.send(payload, frames.REPLY_LIMIT)
        except OSError as error:
            raise frames.CallerLeft from error


class EngineServer:
    """Takes jobs from ``control`` once ``start`` was called; until then they wait in the socket.

    ``serve(call)`` runs in a thread of its own, at most ``max_calls`` at once; beyond that callers get ``Temporary``.
    What it raises reaches the caller: errors of ``reconciler.errors`` as they are, any other as ``Permanent`` with an
    id that the log explains. ``listening`` are the paths at which clients connect to the API process: who connected
    there is known (``Call.caller``). ``on_gone()`` is called, from the accepting thread, when the other process has
    gone (not after ``close``)."""

    def __init__(
        self,
        control: socket.socket,
        serve: Callable[[Call], None],
        max_calls: int = 128,
        on_gone: Callable[[], None] | None = None,
        listening: Collection[str] = (),
    ) -> None:
        self._control = control
        self._listening = frozenset(listening)
        self._pulse = time.monotonic()
        self._serve = serve
        self._on_gone = on_gone
        self._pool = Pool(max_calls, "engine-call")
        self._open: set[socket.socket] = set()
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._accept_all, name="engine-accept", daemon=True)

    @property
    def busy(self) -> int:
        """Calls that run."""
        return self._pool.busy

    def start(self) -> None:
        self._thread.start()

    def beat(self) -> None:
        """Asks the other process for a sign of life."""
        with contextlib.suppress(OSError):  # its queue is full, or it has gone: silence tells
            self._control.send(frames.PULSE, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)

    @property
    def heard(self) -> float:
        """When the other process last gave a sign of life (CLOCK_MONOTONIC seconds)."""
        return self._pulse

    def close(self, grace: float = 5.0) -> bool:
        """Takes no more calls, tells the running ones that their callers left, waits ``grace`` seconds for them to end.

        Returns whether all did.
        """
        self._closing = True
        _shutdown(self._control)
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()
        with self._changed:
            for sock in self._open:
                _shutdown(sock)
            ended = self._changed.wait_for(lambda: not self._open, grace)
        self._control.close()
        return ended

    def _accept_all(self) -> None:
        self._control.settimeout(None)
        while True:
            try:
                message, fds = frames.receive_with_fds(self._control, 16, 1)
            except OSError:
                _log.exception("the engine socket failed")
                break
            if not message and not fds:
                break
            if message == frames.PULSE:
                self._pulse = time.monotonic()
            for fd in fds:
                self._accept(fd)
        if not self._closing and self._on_gone is not None:
            self._on_gone()

    def _accept(self, fd: int) -> None:
        sock = _adopt(fd)
        if sock is None:
            _log.warning("the API process passed something that is no stream socket")
            return
        with self._changed:
            self._open.add(sock)
        if not self._pool.submit(lambda: self._run(sock)):
            _refuse(sock, _BUSY)
            self._forget(sock)

    def _run(self, sock: socket.socket) -> None:
        channel = frames.Channel(sock, expect_fds=True)
        try:
            self._handle(channel)
        except OSError:
            _log.debug("a caller left", exc_info=True)
        finally:
            for fd in channel.fds:
                os.close(fd)
            self._forget(sock)

    def _handle(self, channel: frames.Channel) -> None:
        asked = _read_request(channel)
        if asked is None:
            return
        call = Call(channel, asked, tuple(channel.fds), self._caller(channel, asked))
        # A caller that gave up while we loaded was told that nothing happened: so nothing may.
        if self._closing or call.closed():
            return
        channel.send(wire.ACCEPTED, frames.REPLY_LIMIT)
        try:
            self._serve(call)
            if not call.answered:
                call.result({})
        except frames.CallerLeft:
            _log.debug("job %s: the caller left", call.name)
        except errors.PydockError as error:
            _answer(call, error)
        except Exception:  # noqa: BLE001 - whatever a handler raises must not end the daemon
            _answer(call, internal(f"job {call.name}"))

    def _caller(self, channel: frames.Channel, asked: wire.Asked) -> Caller | None:
        """Who is at the other end of the client's socket that came along. It is closed at once: while it is open here,
        the client would not see that the API process closed it."""
        if not asked.client or not channel.fds:
            return None
        client = channel.fds.pop()
        try:
            return peers.caller_of(client, self._listening)
        finally:
            os.close(client)

    def _forget(self, sock: socket.socket) -> None:
        with self._changed:
            self._open.discard(sock)
            sock.close()
            self._changed.notify_all()


def _adopt(fd: int) -> socket.socket | None:
    """The stream socket that ``fd`` is; None when it is something else, then closed."""
    try:
        sock = socket.socket(fileno=fd)
    except OSError:
        os.close(fd)
        return None
    if sock.family != socket.AF_UNIX or sock.type != socket.SOCK_STREAM:
        sock.close()
        return None
    sock.settimeout(None)
    return sock


def internal(what: str) -> errors.Permanent:
    """The error that a caller sees instead of the exception being handled, which is logged under the same id."""
    mark = os.urandom(6).hex()
    _log.exception("internal error %s in %s", mark, what)
    return errors.Permanent(f"internal error {mark}: the daemon's log tells more")


def _read_request(channel: frames.Channel) -> wire.Asked | None:
    """The caller's request; None when it left or was told off."""
    channel.sock.settimeout(_REQUEST_TIMEOUT)
    frame = channel.receive(frames.REQUEST_LIMIT)
    channel.sock.settimeout(None)
    if frame is None:
        return None
    try:
        return wire.decode_asked(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        channel.send(wire.encode_error(errors.Invalid(f"not a request: {error}")), frames.REPLY_LIMIT)
        return None


def _answer(call: Call, error: errors.PydockError) -> None:
    """Tells the caller of an error, unless it was answered or has gone."""
    if call.answered:
        _log.error("job %s failed after its answer: %s", call.name, error)
        return
    try:
        call.error(error)
    except frames.CallerLeft:
        _log.debug("job %s: nobody heard of: %s", call.name, error)


def _refuse(sock: socket.socket, error: errors.PydockError) -> None:
    """Answers without reading the request and without waiting."""
    sock.setblocking(False)
    try:
        frames.Channel(sock).send(wire.encode_error(error), frames.REPLY_LIMIT)
    except OSError:
        _log.debug("a refused caller did not hear of it")


def _shutdown(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        _log.debug("a socket was closed already")
