"""What a helper may fill of a file system, counted from outside of it.

The helper keeps to its quota by itself, unless it was taken over. So the file system is asked how much is free, which
costs nothing; only when more went than one layer may take is the layer's own tree measured, since others write too.
"""

from __future__ import annotations

import os

from reconciler.drivers.graph import measure
from reconciler.drivers.graph.helper_process import Stopped

#: bytes of a file besides its data: the rest of its last block, its inode and name, its extended attributes
_BESIDES = 12 << 10
#: a root that hides all below it has a mark for each name there, and such marks are no members
_MARKS = 1000


class Allowance:
    """For the tree ``target``, which began as a copy of the tree ``copied`` if that is not empty. ``size`` and
    ``entries`` are the layer's quota."""

    def __init__(self, target: str, size: int, entries: int, copied: str) -> None:
        self._target, self._copied = target, copied
        self._begin = os.statvfs(target)
        free = self._begin.f_bavail * self._begin.f_frsize
        self._bytes = min(size + entries * _BESIDES, free * 19 // 20)
        self._files = 2 * entries + _MARKS
        self._suspect = measure.Usage(self._bytes, self._files)

    def look(self) -> tuple[int, int]:
        """Free bytes and inodes. Raises ``Stopped`` if the tree takes more than it may."""
        now = os.statvfs(self._target)
        taken = measure.Usage((self._begin.f_bfree - now.f_bfree) * now.f_frsize, self._begin.f_ffree - now.f_ffree)
        if taken.bytes > self._suspect.bytes or taken.files > self._suspect.files:
            self._measure()
            # others filled it: not again until an eighth of the allowance more is gone
            self._suspect = measure.Usage(taken.bytes + self._bytes // 8, taken.files + self._files // 8)
        return now.f_bfree, now.f_ffree

    def _measure(self) -> None:
        try:
            used = measure.usage(self._target)
        except OSError as error:
            raise Stopped(f"its tree cannot be measured: {error.strerror}", retry=False) from error
        before = measure.usage(self._copied) if self._copied else measure.Usage(0, 0)
        if used.bytes - before.bytes > self._bytes or used.files - before.files > self._files:
            raise Stopped(
                f"it filled {used.bytes - before.bytes} bytes with {used.files - before.files} files: "
                f"more than the {self._bytes} bytes or the {self._files} files that are allowed or that fit",
                retry=False,
            )
