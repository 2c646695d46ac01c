"""The kernel's inotify, as little of it as following a log needs."""

from __future__ import annotations

import ctypes
import os

MODIFY = 0x2
MOVED_TO = 0x80
CREATE = 0x100
MOVE_SELF = 0x800
_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC


class Watch:
    """One inotify descriptor; events only say *look again*, so they are read and thrown away."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = int(self._libc.inotify_init1(_FLAGS))
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")

    def fileno(self) -> int:
        return self._fd

    def add(self, path: str, mask: int) -> None:
        """Watches a path, if it is there; adding it again is harmless."""
        if self._libc.inotify_add_watch(self._fd, os.fsencode(path), mask) < 0:
            number = ctypes.get_errno()
            if number != 2:  # ENOENT: whoever watches the directory hears of it when it comes
                raise OSError(number, os.strerror(number), path)

    def drain(self) -> None:
        try:
            while os.read(self._fd, 65536):
                pass
        except BlockingIOError:
            pass

    def close(self) -> None:
        os.close(self._fd)
