"""A way down through directories of strangers' making: as deep as they are, with few descriptors, following no link.

Light on purpose: the extraction helper imports it. Whoever runs as root in a container can put directories into one
another until no process could keep all of them open, so only the innermost are. The way back to one that was closed is
its child's ``..``, and it must be the same directory.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from reconciler.drivers.graph import entries

_OPEN = 64


class _Level:
    __slots__ = ("descriptor", "identity", "name", "names")

    def __init__(self, name: bytes, descriptor: int) -> None:
        self.name, self.descriptor = name, descriptor
        found = os.fstat(descriptor)
        self.identity = found.st_dev, found.st_ino
        self.names = iter([os.fsencode(each) for each in os.listdir(descriptor)])


class Descent:
    """Starts in the directory ``name`` of ``above``. Raises ``OSError`` if that is none."""

    def __init__(self, above: int | None, name: bytes | str) -> None:
        self._levels = [_Level(os.fsencode(name), os.open(name, entries.DIRECTORY, dir_fd=above))]

    def __enter__(self) -> Descent:
        return self

    def __exit__(self, *_: object) -> None:
        for level in self._levels:
            if level.descriptor >= 0:
                os.close(level.descriptor)
        self._levels = []

    @property
    def here(self) -> int:
        """The innermost directory, open."""
        return self._levels[-1].descriptor

    @property
    def names(self) -> Iterator[bytes]:
        """Those of the innermost directory's names that were not taken yet; listed when it was entered."""
        return self._levels[-1].names

    @property
    def at_top(self) -> bool:
        return len(self._levels) == 1

    def enter(self, name: bytes) -> None:
        """Raises ``OSError`` if there is no such directory (any more)."""
        self._levels.append(_Level(name, os.open(name, entries.DIRECTORY, dir_fd=self.here)))
        if len(self._levels) > _OPEN:
            far = self._levels[-_OPEN - 1]
            os.close(far.descriptor)
            far.descriptor = -1

    def leave(self) -> bytes:
        """Goes back up; returns the name of what was left. Raises ``OSError`` (ESTALE) if it was moved meanwhile."""
        above = self._levels[-2]
        if above.descriptor < 0:
            descriptor = os.open("..", entries.DIRECTORY, dir_fd=self.here)
            found = os.fstat(descriptor)
            if (found.st_dev, found.st_ino) != above.identity:
                os.close(descriptor)
                raise OSError(errno.ESTALE, "a directory was moved while it was gone through")
            above.descriptor = descriptor
        level = self._levels.pop()
        os.close(level.descriptor)
        return level.name
