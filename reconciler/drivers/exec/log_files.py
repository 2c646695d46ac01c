"""The files of one container's log, and how they stay within their limits.

```
LOG              what conmon writes now
LOG.7            the same file under its number; lower numbers are older files
LOG.8, LOG.tmp   one empty file under two names: the next one
```
conmon changes files by itself: it closes LOG, opens LOG.tmp, and renames that to LOG. It does so when it is told to
(``ask``), and after ``conmon_cap`` bytes in any case. Each file has its number before the first byte is written to it,
so a change loses no line, whoever asked for it; and a crash at any instruction leaves names that the next ``tend`` puts
in order. ``LOG.tmp`` is never removed: conmon ends when it cannot rename the file that it has just opened.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
from datetime import UTC, datetime

from reconciler import failpoints
from reconciler.drivers.exec import base

#: conmon changes files after so many bytes, or the whole log's limit if that is more: nobody else does while the daemon
#: is not running
_CAP = 64 << 20
#: the stream of records that are ours: no container can write one
MARK = b"pydock"
_REOPEN = b"2 0 0\n"
_NEWLINE_WITHIN = 1 << 20


def conmon_cap(limits: base.LogLimits) -> int:
    """Bytes after which conmon changes files without being told."""
    return max(_CAP, limits.max_size * limits.max_files)


def numbered(log: str) -> list[int]:
    """The numbers in use, lowest first."""
    directory, name = os.path.split(log)
    pattern = re.compile(re.escape(name) + r"\.([0-9]{1,12})\Z")
    try:
        found = os.listdir(directory)
    except FileNotFoundError:
        return []
    return sorted(int(match[1]) for match in map(pattern.match, found) if match)


def path_of(log: str, number: int) -> str:
    return f"{log}.{number}"


def status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return None


def tend(log: str, limits: base.LogLimits) -> os.stat_result:
    """Makes sure of the current file, of its number and of the next file, and removes what is over the limits. Returns
    the status of the current file. One caller at a time for each log."""
    number, current = _number_current(log)
    failpoints.hit("exec.log.number.after")
    _provide_next(log, number)
    failpoints.hit("exec.log.next.after")
    _remove_old(log, number, limits)
    failpoints.hit("exec.log.remove.after")
    return current


def ask(log: str, control: str) -> bool:
    """Has conmon change files, or does it in its place once it is gone. False when neither can be done now."""
    if status(f"{log}.tmp") is None:
        return False
    try:
        fd = os.open(control, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        # a FIFO without a reader is that of a conmon that has ended; where there is none, one may be about to start
        return error.errno == errno.ENXIO and change(log)
    try:
        return os.write(fd, _REOPEN) == len(_REOPEN)
    except (BlockingIOError, BrokenPipeError):
        return False
    finally:
        os.close(fd)


def change(log: str) -> bool:
    """Goes on with the next file. Only while no conmon writes."""
    try:
        os.rename(f"{log}.tmp", log)
    except FileNotFoundError:
        return False
    return True


def begin(log: str, limits: base.LogLimits, id: str) -> None:
    """Makes the files ready for a run of ``id``, and notes that it begins. Only while no conmon writes."""
    if tend(log, limits).st_size >= limits.max_size and change(log):
        tend(log, limits)
    _mark(log, id)


def _mark(log: str, id: str) -> None:
    """Notes that a run of ``id`` begins."""
    time = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000+00:00")
    with open(log, "a+b", opener=_private) as file:
        end = file.seek(0, os.SEEK_END)
        # a record that a crash of the host has cut off must not swallow this one
        torn = end > 0 and os.pread(file.fileno(), 1, end - 1) != b"\n"
        file.write((b"\n" if torn else b"") + f"{time} {MARK.decode()} F run {id}\n".encode())


def size(log: str) -> int:
    """Bytes of all files together."""
    found = (status(path) for path in (log, f"{log}.tmp", *(path_of(log, number) for number in numbered(log))))
    return sum({each.st_ino: each.st_size for each in found if each is not None}.values())


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def number_of(log: str, file: os.stat_result) -> int:
    """The number of one of the log's files, by its status; 0 if it has none."""
    return next((each for each in reversed(numbered(log)) if _is(path_of(log, each), file)), 0)


def _number_current(log: str) -> tuple[int, os.stat_result]:
    """The current file's number; one that has none yet gets one."""
    with open(log, "ab", opener=_private):
        pass
    current = os.stat(log)
    if number := number_of(log, current):
        return number, current
    used = numbered(log)
    number = max(used, default=0) + 1
    following = status(f"{log}.tmp")
    if following is not None and used and _is(path_of(log, used[-1]), following):
        # the next file keeps the highest number
        number = used[-1]
        os.rename(path_of(log, number), path_of(log, number + 1))
    with contextlib.suppress(FileExistsError):
        os.link(log, path_of(log, number))
    return number, current


def _is(path: str, other: os.stat_result) -> bool:
    found = status(path)
    return found is not None and os.path.samestat(found, other)


def _provide_next(log: str, number: int) -> None:
    following, name = f"{log}.tmp", path_of(log, number + 1)
    if status(following) is not None:
        return
    try:
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        found = status(name)
        if found is None or found.st_nlink > 1 or found.st_size:
            # conmon has changed to it since the current file was looked at
            return
    failpoints.hit("exec.log.create.after")
    try:
        os.link(name, following)
    except FileExistsError:
        # conmon is opening one of its own at this moment: it gets its number the next time
        os.unlink(name)


def _remove_old(log: str, number: int, limits: base.LogLimits) -> None:
    """Keeps the newest bytes of the older files, whole files where their limits are only just passed."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{log}.cut")
    room = (limits.max_files - 1) * limits.max_size
    for older in reversed([each for each in numbered(log) if each < number]):
        path = path_of(log, older)
        length = os.stat(path).st_size
        if not length or room <= 0:
            os.unlink(path)
        elif length > room + limits.max_size // 2:
            _cut(path, room, f"{log}.cut")
        room -= length


def _cut(path: str, keep: int, scratch: str) -> None:
    """Leaves whole lines of about the last ``keep`` bytes. Who reads the file has the old one open, and is not
    disturbed."""
    with open(path, "rb") as old, open(scratch, "wb", opener=_private) as new:
        before = os.fstat(old.fileno())
        old.seek(before.st_size - keep)
        old.readline(_NEWLINE_WITHIN)
        shutil.copyfileobj(old, new, 1 << 20)
    os.utime(scratch, ns=(before.st_atime_ns, before.st_mtime_ns))
    failpoints.hit("exec.log.cut.after")
    os.rename(scratch, path)
