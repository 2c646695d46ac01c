"""A store in memory for tests: the product's code on a private SQLite database, made in a millisecond.

A snapshot reads a copy taken at the last commit, so that it neither waits for a transaction nor sees half of one.
"""

from __future__ import annotations

import functools
import sqlite3
import threading
from pathlib import Path

from reconciler.store import schema
from reconciler.store.sql import Link
from reconciler.store.store import SqlStore

_NAME = Path("state in memory")


def memory_store() -> SqlStore:
    """A new, empty store; it is gone when it is closed."""
    return SqlStore(MemoryConnections())


class MemoryConnections:
    """``connections.Connections`` without a file."""

    writer: Link

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._image = _empty()
        self.writer = _load(self._image, writable=True)
        self.writer.control("PRAGMA foreign_keys = ON")

    def take_reader(self) -> Link:
        """A reader of its own copy."""
        with self._lock:
            image = self._image
        return _load(image, writable=False)

    def give_reader(self, link: Link) -> None:
        link.driver.close()

    def checkpoint(self, thorough: bool) -> bool:
        """There is no log."""
        return True

    def committed(self) -> None:
        """What readers see from now on."""
        image = self.writer.driver.serialize()
        with self._lock:
            self._image = image

    def short(self) -> bool:
        """Memory is no disk; a test may say otherwise."""
        return False

    def reserve(self) -> None:
        """There is no disk to keep room on."""

    def close(self) -> None:
        self.writer.driver.close()


def _load(image: bytes, writable: bool) -> Link:
    driver = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    driver.deserialize(image)
    return Link(driver, _NAME, writable)


@functools.cache
def _empty() -> bytes:
    """A database with tables and nothing in them."""
    driver = sqlite3.connect(":memory:", isolation_level=None)
    try:
        schema.create(Link(driver, _NAME, writable=True))
        return bytes(driver.serialize())
    finally:
        driver.close()
