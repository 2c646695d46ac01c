"""The job `logs`: writes a container's log to the descriptor that came with it."""

from __future__ import annotations

import os

import msgspec

from reconciler import errors
from reconciler.drivers.exec.base import LogLine, LogQuery
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.model import requests
from reconciler.model.keys import Key


class _Stop:
    """Following ends when whoever asked has left."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def fileno(self) -> int:
        return self._fd


def logs(parts: Parts, job: Job) -> dict[str, object]:
    request = msgspec.convert(job.args, requests.Logs)
    key = Key.of("Container", request.name, request.namespace)
    if not job.fds:
        raise errors.Invalid("logs needs a descriptor to write to")
    with parts.store.snapshot() as session:
        found = session.entries([key])
    if not found:
        raise errors.NotFound(f"{key} not found")
    # of several with one name the live one
    chosen = min(found, key=lambda entry: entry.desired.deleting_at or 0.0).desired
    path = log_path(parts, chosen.uid)
    query = LogQuery(None if request.tail < 0 else request.tail, request.follow, request.since, request.previous)
    shown = _Shown(request)
    for line in parts.exec.log_lines(path, query, _Stop(job.gone_fd)):
        if not _write(job.fds[0], shown.data(line)):
            break
    return {}


def log_path(parts: Parts, uid: str) -> str:
    """The log of a container, which all its incarnations share."""
    return os.path.join(parts.log_dir, uid, "log")


class _Shown:
    """Lines as the caller wants them."""

    def __init__(self, request: requests.Logs) -> None:
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


def _write(fd: int, data: bytes) -> bool:
    """Whether all was written; a reader who has left is no error."""
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(fd, view) :]
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True
