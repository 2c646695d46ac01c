"""What several layers of overlay show together, looked up without mounting them: by descriptors, following no link."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence

from reconciler.drivers.graph import entries


class NoDirectory(Exception):
    """the layers show something else than a directory"""


@contextlib.contextmanager
def directory(trees: Sequence[str], path: bytes) -> Iterator[int]:
    """The topmost of the directories that show together as ``path`` (empty: the root); -1 if nothing does. ``trees``:
    the layers' directories, top first. Raises ``NoDirectory`` if ``path``, or something on the way, is none."""
    with contextlib.ExitStack() as opened:
        here = [_open(opened, tree, None) for tree in trees]
        for name in path.split(b"/") if path else ():
            with opened.pop_all():  # closed when those below them are open
                here = _step(opened, here, name)
        yield here[0] if here else -1


def _step(opened: contextlib.ExitStack, here: list[int], name: bytes) -> list[int]:
    """The directories ``name`` that are merged, the topmost first."""
    found: list[int] = []
    for directory in here:
        entry = entries.lstat(directory, name)
        if entry is None:
            continue
        if not stat.S_ISDIR(entry.st_mode):
            if found or entries.is_whiteout(entry):
                break
            raise NoDirectory
        found.append(_open(opened, name, directory))
        if is_opaque(found[-1]):
            break
    return found


def _open(opened: contextlib.ExitStack, name: str | bytes, directory: int | None) -> int:
    descriptor = os.open(name, entries.DIRECTORY, dir_fd=directory)
    opened.callback(os.close, descriptor)
    return descriptor


def is_opaque(directory: int) -> bool:
    """Whether an open directory of a layer hides those of the same name below it."""
    try:
        return os.getxattr(directory, "trusted.overlay.opaque") == b"y"
    except OSError:
        return False
