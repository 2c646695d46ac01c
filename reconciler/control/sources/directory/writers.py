"""Tells whether a file is open for writing: a quiet file may have a writer that has not finished.

The kernel grants a read lease (fcntl(2), F_SETLEASE) only on a file that nobody has open for writing, however the
writer came to it: another mount, another namespace, a shared mapping. So a lease is asked for and given back at once,
which takes some 10 µs. A program that opens the file for writing in between waits until it is back. The kernel would
tell us of that by a signal: SIGURG is chosen, which does nothing to a process that does not ask for it.

File systems without leases (NFS, some of FUSE), and a daemon without CAP_LEASE, are served by a look through the
descriptors in /proc. That does not see writers on other hosts or in the kernel; there, quiet time remains.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
from collections.abc import Collection, Iterator, Mapping

Identity = tuple[int, int]


def is_open_for_writing(fd: int, name: str) -> bool:
    """Whether any process has the regular file behind ``fd`` (opened for reading only) open for writing. ``name`` is
    the last part of its path."""
    try:
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        if error.errno == errno.EAGAIN:
            return True
        found = os.fstat(fd)
        return bool(find({(found.st_dev, found.st_ino): name}))
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def find(files: Mapping[Identity, str]) -> dict[Identity, str]:
    """Who has files open for writing, as far as /proc tells. ``files``: (device, inode) → the last part of the path;
    the values that come back are for people: ``cp (pid 4711)``."""
    found: dict[Identity, str] = {}
    names = frozenset(files.values())
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for identity in _written(pid, files, names):
            found.setdefault(identity, f"{_name(pid)} (pid {pid})")
    return found


def _written(pid: str, files: Collection[Identity], names: frozenset[str]) -> Iterator[Identity]:
    """Which of the files a process has open for writing; none if it is gone or not ours to look at. Only descriptors of
    the right name are looked at closely: one of a network file system that hangs would block us."""
    folder = f"/proc/{pid}/fd"
    with contextlib.suppress(OSError):
        for entry in os.listdir(folder):
            with contextlib.suppress(OSError):
                if os.readlink(f"{folder}/{entry}").rpartition("/")[2] not in names:
                    continue
                seen = os.stat(f"{folder}/{entry}")
                if (seen.st_dev, seen.st_ino) in files and _is_writable(pid, entry):
                    yield seen.st_dev, seen.st_ino


def _is_writable(pid: str, fd: str) -> bool:
    with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as info:
        flags = next((int(line.split()[1], 8) for line in info if line.startswith("flags:")), 0)
    return flags & os.O_ACCMODE in (os.O_WRONLY, os.O_RDWR)


def _name(pid: str) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            name = file.read().strip()
    except OSError:
        return "a program"
    return "".join(char if char.isprintable() else "?" for char in name)
