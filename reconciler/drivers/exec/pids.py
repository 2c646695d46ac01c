"""Processes told apart for certain: a pid alone is reused, a pid with its start time is not.

``pid_start`` is field 22 of /proc/PID/stat, in clock ticks since boot. A zombie counts as ended: what is left of it
is only its parent's business.
"""

from __future__ import annotations

import os
import select
import signal
import time
from functools import lru_cache

_ENDED = (b"Z", b"X", b"x")


def start_time(pid: int) -> int | None:
    """The start time of a live process; None when there is none of that pid, or only a zombie."""
    if pid <= 0:
        return None
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            stat = file.read(4096)
    except (FileNotFoundError, ProcessLookupError):
        return None
    # the command's name may hold blanks and parentheses: the fields start after the last one
    fields = stat[stat.rfind(b")") + 2 :].split()
    if len(fields) < 20 or fields[0] in _ENDED:
        return None
    return int(fields[19])


def alive(pid: int, pid_start: int) -> bool:
    """Whether that very process still runs."""
    return pid_start > 0 and start_time(pid) == pid_start


def open_pidfd(pid: int, pid_start: int) -> int | None:
    """A pidfd (the caller closes it) of that very process, readable when it ends; None when it has ended.

    The start time is checked after the descriptor is open, so that the pid cannot change hands in between.
    """
    if pid <= 0:
        return None
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    if alive(pid, pid_start):
        return fd
    os.close(fd)
    return None


def send(pid: int, pid_start: int, number: int) -> bool:
    """Signals that very process; False when it has ended."""
    fd = open_pidfd(pid, pid_start)
    if fd is None:
        return False
    try:
        signal.pidfd_send_signal(fd, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(fd)
    return True


def wait_end(pid: int, pid_start: int, timeout: float) -> bool:
    """Waits up to ``timeout`` seconds for that very process to end; True when it has."""
    fd = open_pidfd(pid, pid_start)
    if fd is None:
        return True
    try:
        poller = select.poll()
        poller.register(fd, select.POLLIN)
        return bool(poller.poll(max(0.0, timeout) * 1000))
    finally:
        os.close(fd)


def command_line(pid: int) -> tuple[bytes, ...]:
    """The arguments of a process; empty when it has ended."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb", buffering=0) as file:
            return tuple(file.read(65536).split(b"\0")[:-1])
    except (FileNotFoundError, ProcessLookupError):
        return ()


def started_at(pid_start: int) -> float:
    """Unix seconds of a start time."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + pid_start / _ticks()


@lru_cache(maxsize=1)
def _ticks() -> int:
    return os.sysconf("SC_CLK_TCK")
