"""Answers that go on: lines of a streaming job, bytes of a log. Each ends at once when its client leaves or the
server stops."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import msgspec
from gunicorn.http import errors as http

from reconciler import errors
from reconciler.api import problems
from reconciler.api.problems import Refused
from reconciler.ipc import Stream


class Body(Protocol):
    """What a client sends, while it comes."""

    def read(self, size: int) -> bytes: ...


#: streams that may be open at once; every one holds a thread
MOST = 64
#: seconds in which a job that fails at once is answered with its error's code, not within a stream that has begun
_HEAD_START = 0.2
#: bytes of a log that are read, and of lines that are sent, at once
_PIECE = 1 << 16
_GONE = select.POLLRDHUP | select.POLLHUP | select.POLLERR | select.POLLNVAL


class Streams:
    """Counts the open streams and ends them all when the server stops."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._open = 0
        self._lock = threading.Lock()
        self._stopping = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def stop(self) -> None:
        """Ends every stream, also those to come. A signal handler may call it."""
        os.eventfd_write(self._stopping, 1)

    def fileno(self) -> int:
        """Readable once the server stops."""
        return self._stopping

    def enter(self) -> None:
        """Refuses when there are too many."""
        with self._lock:
            if self._open >= self._most:
                raise Refused(429, f"too many open streams: {self._most} at most", headers={"Retry-After": "1"})
            self._open += 1

    def leave(self) -> None:
        with self._lock:
            self._open -= 1


class Following:
    """One stream: a job, its client's socket, and the server's end watched together. Subclasses say what is sent.

    It is the WSGI server's iterable: made when the job has been taken, closed exactly once whatever happens.
    """

    def __init__(self, streams: Streams, client: int, open_job: Callable[[], Stream]) -> None:
        self._streams = streams
        with contextlib.ExitStack() as undo:
            streams.enter()
            undo.callback(streams.leave)
            self._job = open_job()
            undo.callback(self._job.close)
            self._watch(client)
            undo.pop_all()
        self._closed = False

    def _watch(self, client: int) -> None:
        """What is looked at while nothing comes. Without a client's socket (-1) nobody can leave."""
        self._poll = select.poll()
        self._ends = {self._streams.fileno()}
        if client >= 0:
            self._poll.register(client, select.POLLRDHUP)
            self._ends.add(client)
        self._poll.register(self._streams.fileno(), select.POLLIN)
        self._poll.register(self._job.fileno(), select.POLLIN)

    def wait(self, deadline: float | None = None) -> set[int] | None:
        """The descriptors that have something; None when the stream must end. Empty when ``deadline`` (monotonic)
        passed."""
        timeout = None if deadline is None else max(deadline - time.monotonic(), 0.0) * 1000
        ready = {fd for fd, _ in self._poll.poll(timeout)}
        return None if ready & self._ends else ready

    def close(self) -> None:
        """Tells the job to end."""
        if not self._closed:
            self._closed = True
            self._job.close()
            self._streams.leave()


class Lines(Following):
    """The items of a job, one a line. ``in_stream`` makes the line that tells of an error after the start."""

    def __init__(
        self,
        streams: Streams,
        client: int,
        open_job: Callable[[], Stream],
        in_stream: Callable[[dict[str, Any]], dict[str, Any]],
    ) -> None:
        super().__init__(streams, client, open_job)
        self._in_stream = in_stream
        self._first: list[bytes] = []
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        """Waits for the first sign of how the job goes; raises its error."""
        deadline = time.monotonic() + _HEAD_START
        while not self._job.started and not self._job.ended and (self._job.pending() or self.wait(deadline)):
            item = self._job.receive()
            if item is not None:
                self._first.append(bytes(item))

    def __iter__(self) -> Iterator[bytes]:
        yield _lines(self._first)
        self._first = []
        while not self._job.ended:
            if not self._job.pending() and self.wait() is None:
                return
            yield self._take()

    def _take(self) -> bytes:
        """What is there now, as lines."""
        taken: list[bytes] = []
        size = 0
        try:
            while not self._job.ended and size < _PIECE and (self._job.pending() or not taken):
                item = self._job.receive()
                if item is None:
                    break
                taken.append(bytes(item))
                size += len(taken[-1])
        except errors.PydockError as error:
            taken.append(msgspec.json.encode(self._in_stream(problems.describe(error))))
        return _lines(taken)


class Upload(Lines):
    """As ``Lines``, for a job that first reads ``body`` to its end from the pipe it is given.

    ``length`` is what was announced, -1 for chunks, which tell themselves where they end. What a job that has failed
    does not read is thrown away, so that its error is heard."""

    def __init__(
        self,
        streams: Streams,
        client: int,
        body: Body,
        length: int,
        open_job: Callable[[int], Stream],
        in_stream: Callable[[dict[str, Any]], dict[str, Any]],
    ) -> None:
        self._body, self._length = body, length
        self._pipe = -1
        try:
            super().__init__(streams, client, lambda: self._opened(open_job), in_stream)
        finally:
            self._shut()

    def _opened(self, open_job: Callable[[int], Stream]) -> Stream:
        """The job, which alone has the other end of the pipe: when it ends, writing fails."""
        theirs, self._pipe = os.pipe2(os.O_CLOEXEC)
        try:
            return open_job(theirs)
        finally:
            os.close(theirs)

    def _begin(self) -> None:
        taken = 0
        try:
            while piece := self._body.read(_PIECE):
                taken += len(piece)
                self._pass_on(piece)
        except (OSError, http.ParseException) as error:
            self._job.close()  # before the pipe ends: the job is not to take this for all
            raise Refused(400, f"the archive did not arrive: {error}") from None
        if taken < self._length:
            self._job.close()
            raise Refused(400, f"the archive ended after {taken} of {self._length} bytes")
        self._shut()
        super()._begin()

    def _pass_on(self, piece: bytes) -> None:
        if self._pipe < 0:
            return
        view = memoryview(piece)
        try:
            while view:
                view = view[os.write(self._pipe, view) :]
        except BrokenPipeError:
            self._shut()

    def _shut(self) -> None:
        if self._pipe >= 0:
            os.close(self._pipe)
        self._pipe = -1


class Output(Following):
    """The bytes that a job writes to the pipe it is given."""

    def __init__(self, streams: Streams, client: int, open_job: Callable[[int], Stream]) -> None:
        self._pipe, theirs = os.pipe2(os.O_CLOEXEC)
        try:
            super().__init__(streams, client, lambda: open_job(theirs))
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(theirs)
        try:
            self._poll.register(self._pipe, select.POLLIN)
            self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        """Waits for the first byte or word; raises the job's error, which comes before the end of the pipe."""
        deadline = time.monotonic() + _HEAD_START
        while not self._job.started and not self._job.ended:
            ready = self.wait(deadline)
            if not ready or self._job.fileno() not in ready:
                return
            self._hear()

    def _hear(self) -> None:
        """Takes one word of the job; after its last there is none to wait for."""
        self._job.receive()
        if self._job.ended:
            self._poll.unregister(self._job.fileno())

    def __iter__(self) -> Iterator[bytes]:
        yield b""
        while (ready := self.wait()) is not None:
            if self._pipe in ready:
                data = os.read(self._pipe, _PIECE)
                if not data:
                    self._finish()
                    return
                yield data
            elif self._job.fileno() in ready:
                self._hear_late()

    def _hear_late(self) -> None:
        """An error after the start cannot be told among raw bytes: the answer is cut off, which clients notice."""
        try:
            self._hear()
        except errors.PydockError as error:
            raise ConnectionResetError(errno.ECONNRESET, f"the log was cut off: {error.message}") from error

    def _finish(self) -> None:
        """Every byte has come; whether that was all, the job says."""
        while not self._job.ended:
            if not self._job.pending() and self.wait() is None:
                return
            self._hear_late()

    def close(self) -> None:
        if not self._closed:
            os.close(self._pipe)
        super().close()


def _lines(items: list[bytes]) -> bytes:
    return b"".join(item + b"\n" for item in items)
