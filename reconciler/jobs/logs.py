"""The job `logs`: writes a container's log to the descriptor that came with it."""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from reconciler import errors
from reconciler.drivers.exec.base import LogLine, LogQuery
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.kinds.container.observed import ContainerObserved
from reconciler.model.keys import Key
from reconciler.requests import containers as asked

#: phases of a container that has ended and will not start again by itself
_ENDED = frozenset({"Succeeded", "Failed", "Stopped"})


def logs(parts: Parts, job: Job) -> dict[str, object]:
    request = msgspec.convert(job.args, asked.Logs)
    key = Key.of("Container", request.name, request.namespace)
    if not job.fds:
        raise errors.Invalid("logs needs a descriptor to write to")
    with parts.store.snapshot() as session:
        found = session.entries([key])
    if not found:
        raise errors.NotFound(f"{key} not found")
    # of several with one name the live one
    chosen = min(found, key=lambda entry: entry.desired.deleting_at or 0.0).desired
    path, since = log_path(parts, chosen.uid), _since(parts, request)
    query = LogQuery(None if request.tail < 0 else request.tail, request.follow, since, request.previous)
    shown = _Shown(request)
    with _end(parts, job, chosen.uid, request.follow) as end:
        for line in parts.exec.log_lines(path, query, end):
            if not _write(job.fds[0], shown.data(line)):
                break
    return {}


def log_path(parts: Parts, uid: str) -> str:
    """The log of a container, which all its incarnations share."""
    return os.path.join(parts.log_dir, uid, "log")


def _since(parts: Parts, request: asked.Logs) -> float:
    """Unix seconds; 0 for all lines. A time without a zone is in UTC."""
    if request.since_time and request.since_seconds:
        raise errors.Invalid("sinceTime and sinceSeconds: give one of them")
    if request.since_seconds:
        return parts.clock.now().wall - request.since_seconds
    if not request.since_time:
        return 0.0
    try:
        found = datetime.fromisoformat(request.since_time)
    except ValueError:
        raise errors.Invalid(
            f"sinceTime {request.since_time[:40]!r}: expected a time such as 2026-01-02T03:04:05Z"
        ) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


class _Shown:
    """Lines as the caller wants them."""

    def __init__(self, request: asked.Logs) -> None:
        self._request = request
        self._incarnation = b""
        self._broken = False

    def data(self, line: LogLine) -> bytes:
        if line.stream == "run":
            return self._mark(line)
        prefix = f"{line.time} ".encode() if self._request.timestamps else b""
        self._broken = line.partial
        return prefix + line.text + (b"" if line.partial else b"\n")

    def _mark(self, line: LogLine) -> bytes:
        """Tells of another incarnation; runs of one are joined, as docker joins those of one container."""
        before, self._incarnation = self._incarnation, line.text
        if before in (b"", line.text) or not self._request.mark_with:
            return b""
        words = f"{self._request.mark_with}--- made anew {line.time} (incarnation {line.text.decode()}) ---\n"
        end, self._broken = b"\n" if self._broken else b"", False
        return end + words.encode()


class _End:
    """Readable when following ends: whoever asked has left, or the container has ended for good."""

    def __init__(self, gone_fd: int) -> None:
        self._over = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._either = select.epoll()
        for fd in (self._over, gone_fd):
            if fd >= 0:
                self._either.register(fd, select.EPOLLIN)

    def fileno(self) -> int:
        return self._either.fileno()

    def say(self) -> None:
        os.eventfd_write(self._over, 1)

    def close(self) -> None:
        self._either.close()
        os.close(self._over)


@contextlib.contextmanager
def _end(parts: Parts, job: Job, uid: str, follow: bool) -> Iterator[_End]:
    """The end of following, told by a thread that looks at the container whenever the store changes."""
    end = _End(job.gone_fd)
    news, left = threading.Event(), threading.Event()

    def look() -> None:
        while not left.is_set():
            news.clear()
            if _ended(parts, uid):
                end.say()
                return
            news.wait()

    # an event, not a descriptor: a change that is told after `forget` writes to nothing that was closed
    forget = parts.store.on_change(lambda revision: news.set())
    looker = threading.Thread(target=look, name=f"end of logs {uid}", daemon=True)
    try:
        if follow:
            looker.start()
        yield end
    finally:
        forget()
        left.set()
        news.set()
        if follow:
            looker.join()
        end.close()


def _ended(parts: Parts, uid: str) -> bool:
    """Whether the container writes nothing more: it is gone, or ended and stays so until somebody acts."""
    with parts.store.snapshot() as session:
        desired = session.objects.get(uid)
        observed = session.observed.get(uid)
    if desired is None:
        return True
    if not isinstance(observed, ContainerObserved) or observed.process in ("created", "running"):
        return False
    if desired.deleting_at is not None:
        return True
    if (observed.observed_generation, observed.restart) != (desired.generation, desired.override.restart):
        return False  # the status is older than the last wish
    return observed.phase in _ENDED and desired.override.stopped == (observed.phase == "Stopped")


def _write(fd: int, data: bytes) -> bool:
    """Whether all was written; a reader who has left is no error."""
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(fd, view) :]
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True
