"""Locks by name. They exist only while somebody holds or awaits them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class KeyedLocks:
    """One holder at a time for each key; different keys do not wait for one another."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held: dict[str, tuple[threading.Lock, int]] = {}

    @contextmanager
    def hold(self, key: str) -> Iterator[None]:
        with self._guard:
            lock, users = self._held.get(key, (threading.Lock(), 0))
            self._held[key] = (lock, users + 1)
        try:
            with lock:
                yield
        finally:
            self._leave(key)

    @contextmanager
    def try_hold(self, key: str) -> Iterator[bool]:
        """Holds the key while the block runs, if nobody else holds or awaits it; gives whether it is held."""
        with self._guard:
            free = key not in self._held
            if free:
                lock = threading.Lock()
                lock.acquire()
                self._held[key] = (lock, 1)
        try:
            yield free
        finally:
            if free:
                lock.release()
                self._leave(key)

    def _leave(self, key: str) -> None:
        with self._guard:
            lock, users = self._held[key]
            if users == 1:
                del self._held[key]
            else:
                self._held[key] = (lock, users - 1)
