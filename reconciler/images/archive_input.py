"""The stream that an archive comes in."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterator

from reconciler import errors

_PIECE = 1 << 18


class Input:
    """A ``tar.Source`` on a pipe; ends when the daemon does."""

    def __init__(self, fd: int, stopping: threading.Event) -> None:
        self._fd, self._stopping = fd, stopping
        self._piece = memoryview(b"")
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self.start = b""

    def take(self, count: int) -> bytes:
        return b"".join(bytes(piece) for piece in self.pieces(count))

    def pieces(self, count: int) -> Iterator[memoryview]:
        while count and (self._piece or self._more()):
            piece = self._piece[:count]
            self._piece = self._piece[len(piece) :]
            count -= len(piece)
            yield piece

    def rest(self) -> Iterator[memoryview]:
        """Everything that is still to come."""
        while self._piece or self._more():
            piece, self._piece = self._piece, memoryview(b"")
            yield piece

    def _more(self) -> bool:
        while not self._poll.poll(500):
            if self._stopping.is_set():
                raise errors.Temporary("the transfer was given up: pydockd is shutting down")
        data = os.read(self._fd, _PIECE)
        self.start = self.start or data[:8]
        self._piece = memoryview(data)
        return bool(data)
