"""How many bytes files take. Trees are strangers': they are walked by descriptors, following no link."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
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


def tree(path: str) -> int:
    """Bytes on disk of all below ``path``, each file counted once; other file systems mounted in it are left out. What
    vanishes meanwhile counts for nothing."""
    try:
        top = os.open(path, _DIRECTORY)
    except FileNotFoundError:
        return 0
    device = os.fstat(top).st_dev
    seen: set[int] = set()
    total = 0
    stack = [(top, iter(os.listdir(top)))]
    try:
        while stack:
            current, names = stack[-1]
            name = next(names, None)
            if name is None:
                os.close(stack.pop()[0])
                continue
            try:
                found = os.stat(name, dir_fd=current, follow_symlinks=False)
                if found.st_dev != device or found.st_ino in seen:
                    continue
                if found.st_nlink > 1:
                    seen.add(found.st_ino)
                total += found.st_blocks * _BLOCK
                if stat.S_ISDIR(found.st_mode):
                    below = os.open(name, _DIRECTORY, dir_fd=current)
                    stack.append((below, iter(os.listdir(below))))
            except (FileNotFoundError, NotADirectoryError):
                continue
    finally:
        for current, _ in stack:
            os.close(current)
    return total
