"""Waits until something happens in a tree of directories, until a deadline, or until told: costs nothing meanwhile.

inotify on each directory itself (``IN_ONLYDIR``), not on files, which go dead with their first rename. What happened is
not asked: any event means *look again*. Directories that appear are added by the look that their appearance causes.
"""

from __future__ import annotations

import os
import select
from collections.abc import Iterable

from reconciler.control.inotify import Inotify

_MODIFY, _ATTRIB, _CLOSE_WRITE = 0x2, 0x4, 0x8
_MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x40, 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF, _ONLYDIR = 0x400, 0x800, 0x01000000
_MASK = (
    _MODIFY
    | _ATTRIB
    | _CLOSE_WRITE
    | _MOVED_FROM
    | _MOVED_TO
    | _CREATE
    | _DELETE
    | _DELETE_SELF
    | _MOVE_SELF
    | _ONLYDIR
)


class Watch:
    """One thread waits; any thread may wake it."""

    def __init__(self) -> None:
        self._inotify = Inotify()
        self._folders: dict[str, tuple[int, int]] = {}
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._poll = select.poll()
        self._poll.register(self._inotify.fileno(), select.POLLIN)
        self._poll.register(self._wake, select.POLLIN)

    def follow(self, folders: Iterable[str]) -> bool:
        """Watches exactly these directories from now on. True if any is new: then what happened in it before was not
        heard of."""
        wanted = {path: identity for path in folders if (identity := _identity(path)) is not None}
        for path in self._folders.keys() - wanted.keys():
            self._inotify.remove(path)
        new = {path for path, identity in wanted.items() if self._folders.get(path) != identity}
        self._folders = {path: identity for path, identity in wanted.items() if path not in new or self._add(path)}
        return bool(new & self._folders.keys())

    def _add(self, path: str) -> bool:
        """A directory that cannot be watched (gone already, or too many watches) is left to the timer."""
        try:
            self._inotify.remove(path)
            self._inotify.add(path, _MASK)
        except OSError:
            return False
        return True

    def wait(self, seconds: float) -> bool:
        """Until an event or ``wake`` (True), or for so many seconds (False)."""
        happened = bool(self._poll.poll(max(0.0, seconds) * 1000))
        if happened:
            self.drain()
        return happened

    def drain(self) -> None:
        """Forgets all that happened until now."""
        self._inotify.read()
        try:
            os.eventfd_read(self._wake)
        except BlockingIOError:
            return

    def wake(self) -> None:
        os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        self._inotify.close()
        os.close(self._wake)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
