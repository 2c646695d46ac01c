"""The job `logs`: writes a container's log to the descriptor that came with it."""

from __future__ import annotations

import os

import msgspec

from reconciler import errors
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.model.keys import Key
from reconciler.requests import containers as asked


class _Stop:
    """Following ends when whoever asked has left."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def fileno(self) -> int:
        return self._fd


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
    path = os.path.join(parts.log_dir, chosen.uid, "log")
    tail = None if request.tail < 0 else request.tail
    for line in parts.exec.log_lines(path, tail, request.follow, _Stop(job.gone_fd)):
        prefix = f"{line.time} ".encode() if request.timestamps else b""
        if not _write(job.fds[0], prefix + line.text + (b"" if line.partial else b"\n")):
            break
    return {}


def _write(fd: int, data: bytes) -> bool:
    """Whether all was written; a reader who has left is no error."""
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(fd, view) :]
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True
