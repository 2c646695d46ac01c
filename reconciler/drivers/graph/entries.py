"""Entries of open directories: looked at and opened by one name, following no link.

Light on purpose: the extraction helper imports it. Names are bytes.
"""

from __future__ import annotations

import errno
import os
import stat

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: directories inside one another, each of which takes a descriptor while a tree is walked
MAX_DEPTH = 512


def lstat(directory: int, name: bytes) -> os.stat_result | None:
    """None if there is no such name."""
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None


def is_directory(found: os.stat_result | None) -> bool:
    return found is not None and stat.S_ISDIR(found.st_mode)


def is_whiteout(found: os.stat_result) -> bool:
    """Whether it is overlay's own mark of a name that is gone: a character device 0:0."""
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def open_directory(directory: int, name: bytes) -> int:
    """A descriptor of the directory ``name``; -1 if it is none."""
    try:
        return os.open(name, DIRECTORY, dir_fd=directory)
    except (FileNotFoundError, NotADirectoryError):
        return -1
    except OSError as error:
        if error.errno == errno.ELOOP:
            return -1
        raise


def shown(name: bytes) -> str:
    """A name for a message."""
    return repr(name[:200].decode(errors="backslashreplace"))
