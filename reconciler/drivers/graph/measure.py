"""How many bytes files take. Trees are strangers': they are walked by descriptors, following no link."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import NamedTuple

from reconciler.drivers.graph import descent

_BLOCK = 512


class Space(NamedTuple):
    """Bytes of a file system; ``free`` are those that pydock could use, ``size`` counts used and free ones."""

    size: int
    free: int

    @property
    def used_percent(self) -> float:
        """As df shows it."""
        return 100.0 * (self.size - self.free) / self.size if self.size else 0.0


def space(path: str) -> Space:
    """Of the file system that holds ``path``."""
    found = os.statvfs(path)
    used = (found.f_blocks - found.f_bfree) * found.f_frsize
    return Space(used + found.f_bavail * found.f_frsize, found.f_bavail * found.f_frsize)


class Usage(NamedTuple):
    """What files take: bytes on disk, and their number, directories too."""

    bytes: int
    files: int


def tree(path: str) -> int:
    """Bytes on disk of all below ``path``; of a tree in which directories are moved meanwhile only a part."""
    count = _Count()
    try:
        count.add(path)
    except OSError as error:
        if error.errno != errno.ESTALE:
            raise
    return count.bytes


def usage(path: str) -> Usage:
    """Of all below ``path``, each file counted once; other file systems mounted in it are left out. What vanishes
    meanwhile counts for nothing. Raises ``OSError`` (ESTALE) if directories are moved meanwhile."""
    count = _Count()
    count.add(path)
    return Usage(count.bytes, count.files)


class _Count:
    def __init__(self) -> None:
        self.bytes = self.files = 0
        self._seen: set[int] = set()

    def add(self, path: str) -> None:
        try:
            way = descent.Descent(None, path)
        except FileNotFoundError:
            return
        with way:
            device = os.fstat(way.here).st_dev
            while True:
                name = next(way.names, None)
                if name is not None:
                    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                        self._entry(way, name, device)
                elif way.at_top:
                    return
                else:
                    way.leave()

    def _entry(self, way: descent.Descent, name: bytes, device: int) -> None:
        found = os.stat(name, dir_fd=way.here, follow_symlinks=False)
        if found.st_dev != device or found.st_ino in self._seen:
            return
        if found.st_nlink > 1:
            self._seen.add(found.st_ino)
        self.bytes += found.st_blocks * _BLOCK
        self.files += 1
        if stat.S_ISDIR(found.st_mode):
            way.enter(name)
