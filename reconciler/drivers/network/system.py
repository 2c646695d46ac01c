"""The few system calls that Python 3.11 lacks, and small files of /proc."""

from __future__ import annotations

import ctypes
import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

CLONE_NEWNET = 0x40000000
MS_BIND = 4096
MNT_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def unshare_network() -> None:
    """Moves the calling thread, it alone, into a new network namespace."""
    _check(_libc.unshare(CLONE_NEWNET), "unshare(CLONE_NEWNET)")


def enter_network(fd: int) -> None:
    """Moves the calling thread, it alone, into the network namespace that ``fd`` is open on."""
    _check(_libc.setns(fd, CLONE_NEWNET), "setns")


def bind_mount(source: str, target: str) -> None:
    _check(_libc.mount(os.fsencode(source), os.fsencode(target), None, MS_BIND, None), f"mount {target}")


def unmount(target: str) -> None:
    """Takes the topmost mount away at once, whoever still uses it."""
    _check(_libc.umount2(os.fsencode(target), MNT_DETACH), f"umount {target}")


def in_thread(work: Callable[[], T]) -> T:
    """Runs ``work`` in a thread that is thrown away afterwards (it may change its namespaces); returns its result."""
    outcome: list[T] = []
    failure: list[BaseException] = []

    def body() -> None:
        try:
            outcome.append(work())
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
            failure.append(error)

    thread = threading.Thread(target=body, name="netns")
    try:
        thread.start()
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, str(error)) from error
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]


def read_setting(path: str) -> str | None:
    """A sysctl's value as text, None when this kernel or link has none."""
    try:
        return Path("/proc/sys", path).read_text().strip()
    except FileNotFoundError:
        return None


def write_setting(path: str, value: str) -> bool:
    """Sets a sysctl unless it has the value; returns whether it changed. One that does not exist is left out."""
    if read_setting(path) in (None, value):
        return False
    Path("/proc/sys", path).write_text(value)
    return True
