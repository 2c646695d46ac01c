"""A deadline on progress: a socket's own timeout never ends for a peer that sends one byte at a time."""

from __future__ import annotations

import os
import socket
import threading
import time

#: a transfer must bring ``ENOUGH`` bytes, or end, within every ``PATIENCE`` seconds
PATIENCE = 60.0
ENOUGH = 64 << 10


class Deadline:
    """Watches one transfer: connection, headers and body. When time is up the connection is shut down, so that the
    thread that waits on it gets an error; ``expired`` tells that from the peer's own failures."""

    def __init__(self, patience: float = PATIENCE, enough: int = ENOUGH) -> None:
        self._patience, self._enough = patience, enough
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._since = 0
        self._until = time.monotonic() + patience
        self._done = threading.Event()
        self.expired = False
        threading.Thread(target=self._watch, name="progress", daemon=True).start()

    def watch(self, connection: socket.socket) -> None:
        """Takes the connection in use. A duplicate is kept: TLS takes the descriptor of the original away."""
        duplicate = socket.socket(fileno=os.dup(connection.fileno()))
        with self._lock:
            self._sockets.append(duplicate)

    def progress(self, count: int) -> None:
        self._since += count
        if self._since >= self._enough:
            self._since = 0
            self._until = time.monotonic() + self._patience

    def close(self) -> None:
        self._done.set()
        with self._lock:
            for connection in self._sockets:
                connection.close()
            self._sockets.clear()

    def _watch(self) -> None:
        while not self._done.wait(max(self._until - time.monotonic(), 0.0)):
            if time.monotonic() >= self._until:
                self._expire()
                return

    def _expire(self) -> None:
        with self._lock:
            if self._done.is_set():
                return
            self.expired = True
            for connection in self._sockets:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # it was not connected any more
