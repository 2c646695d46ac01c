"""The connections to one database: one writer, and readers as needed.

SQLite 3.7.0 to 3.51.2 may corrupt a write-ahead log when two connections write or checkpoint in the same instant. So
only the writer, under the store's lock, does either; readers are ``query_only`` and never checkpoint, and the writer is
closed last.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from pathlib import Path
from typing import Protocol

from reconciler import errors
from reconciler.store import faults
from reconciler.store.sql import Link

#: how long SQLite waits for another process that holds the file
BUSY_SECONDS = 5.0
#: the log has this much of the disk from the beginning, so that a full disk still lets containers be removed
RESERVED_LOG = 8 * 1024 * 1024
#: and the database has so many bytes in free pages: a log that cannot be written back into it is never begun anew
RESERVED_PAGES = 4 * 1024 * 1024
#: with less than this left on the disk (bytes), only what is needed to go on is written
SHORT = 2 * 1024 * 1024
#: a log file longer than this is cut when nobody reads it
LARGE_LOG = 68 * 1024 * 1024
_IDLE_READERS = 4


class Connections(Protocol):
    """Where the store's connections come from. ``writer`` is guarded by the store's lock."""

    writer: Link

    def take_reader(self) -> Link:
        """A reader, in a transaction that sees the state after the last commit."""

    def give_reader(self, link: Link) -> None:
        """Ends the reader's transaction; the link is not used again by who gave it."""

    def checkpoint(self, thorough: bool) -> bool:
        """Writes the log back; under the store's lock.

        ``thorough`` waits for readers and leaves the log empty. False when not all could be done.
        """

    def short(self) -> bool:
        """Whether the disk is all but full."""

    def reserve(self) -> None:
        """Sees to it that the database can grow on a full disk; under the store's lock, outside of a transaction."""

    def committed(self) -> None:
        """Called after each commit, under the store's lock."""

    def close(self) -> None: ...


class FileConnections:
    """Connections to a file."""

    writer: Link

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = path.with_name(path.name + "-wal")
        self._lock = threading.Lock()
        self._idle: list[Link] = []
        self._open: set[Link] = set()
        self.writer = self._connect(writable=True)
        try:
            self.writer.control("PRAGMA journal_mode = WAL")
            self.writer.control("PRAGMA wal_autocheckpoint = 0")
            self.writer.control("PRAGMA foreign_keys = ON")
            self.writer.control("PRAGMA synchronous = FULL")
            self.writer.control("SELECT 1 FROM sqlite_master")
            self._reserve()
        except BaseException:
            self.writer.driver.close()
            raise

    def take_reader(self) -> Link:
        with self._lock:
            link = self._idle.pop() if self._idle else None
        if link is None:
            link = self._make_reader()
        try:
            link.control("BEGIN")
            link.control("SELECT 1 FROM sqlite_master LIMIT 1")
        except BaseException:
            self._discard(link)
            raise
        return link

    def give_reader(self, link: Link) -> None:
        link.rollback()
        with self._lock:
            keep = link in self._open and len(self._idle) < _IDLE_READERS
            if keep:
                self._idle.append(link)
        if not keep:
            self._discard(link)

    def checkpoint(self, thorough: bool) -> bool:
        busy, pages, copied = self.writer.control("PRAGMA wal_checkpoint(PASSIVE)")[0]
        if thorough or (pages == copied and self._log.stat().st_size > LARGE_LOG):
            busy, pages, copied = self.writer.control("PRAGMA wal_checkpoint(TRUNCATE)")[0]
            self._reserve()
        return not busy and pages == copied

    def short(self) -> bool:
        disk = os.statvfs(self._path.parent)
        free = disk.f_bavail if os.geteuid() else disk.f_bfree
        return free * disk.f_frsize < SHORT

    def reserve(self) -> None:
        """Free pages of its own are what a database grows into first. They come from a row that is written, copied
        into the file and deleted. A precaution: where there is no room for it, there is none."""
        size = self.writer.control("PRAGMA page_size")[0][0]
        lacking = RESERVED_PAGES - size * self.writer.control("PRAGMA freelist_count")[0][0]
        if lacking <= RESERVED_PAGES // 2 or self.short():
            return
        with contextlib.suppress(errors.Temporary):
            self.writer.control(f"REPLACE INTO facts (name, body) VALUES ('reserve', zeroblob({lacking}))")
            self.checkpoint(thorough=False)
            self.writer.control("DELETE FROM facts WHERE name = 'reserve'")
            self.checkpoint(thorough=False)

    def committed(self) -> None:
        pass

    def close(self) -> None:
        """Readers that are lent out are closed when they come back."""
        with self._lock:
            idle, self._idle, self._open = self._idle, [], set()
        for link in idle:
            link.driver.close()
        self.writer.driver.close()

    def _discard(self, link: Link) -> None:
        with self._lock:
            self._open.discard(link)
        link.driver.close()

    def _make_reader(self) -> Link:
        link = self._connect(writable=False)
        try:
            link.control("PRAGMA query_only = ON")
            link.control("PRAGMA wal_autocheckpoint = 0")
        except BaseException:
            link.driver.close()
            raise
        with self._lock:
            self._open.add(link)
        return link

    def _reserve(self) -> None:
        """Takes disk space for the log; SQLite reads no further than it wrote. A precaution: it may fail."""
        with contextlib.suppress(OSError):
            descriptor = os.open(self._log, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                os.posix_fallocate(descriptor, 0, RESERVED_LOG)
            finally:
                os.close(descriptor)

    def _connect(self, writable: bool) -> Link:
        try:
            driver = sqlite3.connect(
                self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
            )
        except sqlite3.Error as error:
            raise faults.translate(error, self._path) from error
        return Link(driver, self._path, writable)
