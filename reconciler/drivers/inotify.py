"""inotify on single files, through the C library: watchfiles watches directories, but does not tell when one cgroup
file or log is written to.

Format of an event: inotify(7), ``struct inotify_event``.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct

MODIFY, ATTRIB, MOVED_TO, CREATE = 0x2, 0x4, 0x80, 0x100
#: the watch ends with its first event
ONE_SHOT = 0x8000_0000
_IGNORED = 0x8000
_HEADER = struct.Struct("iIII")
_libc = ctypes.CDLL(None, use_errno=True)


class Inotify:
    """Watches files and directories by path. Not safe for use from several threads, except that one may ``read`` while
    another adds."""

    def __init__(self) -> None:
        self._fd = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise _error("inotify_init1")
        self._paths: dict[int, str] = {}
        self._watches: dict[str, int] = {}

    def fileno(self) -> int:
        return int(self._fd)

    def add(self, path: str, mask: int) -> None:
        """Watches what ``path`` names now; watching it again is harmless. Raises ``OSError``: ``FileNotFoundError``, or
        ``ENOSPC`` when the kernel's limit of watches is reached."""
        watch = _libc.inotify_add_watch(self._fd, os.fsencode(path), mask)
        if watch < 0:
            raise _error(path)
        self._paths[watch] = path
        self._watches[path] = watch

    def remove(self, path: str) -> None:
        watch = self._watches.pop(path, None)
        if watch is not None and self._paths.get(watch) == path:
            del self._paths[watch]
            # the watch is gone by itself when its file is
            _libc.inotify_rm_watch(self._fd, watch)

    def read(self) -> set[str]:
        """The paths that something happened to since the last call."""
        found: set[str] = set()
        with contextlib.suppress(BlockingIOError):
            while True:
                data = os.read(self._fd, 65536)
                at = 0
                while at < len(data):
                    watch, mask, _, length = _HEADER.unpack_from(data, at)
                    at += _HEADER.size + length
                    path = self._paths.pop(watch, None) if mask & _IGNORED else self._paths.get(watch)
                    if path is not None:
                        found.add(path)
        return found

    def close(self) -> None:
        os.close(self._fd)


def _error(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), what)
