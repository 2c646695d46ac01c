"""Two trees of strangers' making, side by side: by descriptors, following no link.

What an unpacking of the same layer gives again must be the same: types, modes, owners, contents, extended attributes,
link targets, device numbers, hard links, and times to the nanosecond. Times of directories are left out, since they
change with what is put beside.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Generator, Iterator
from itertools import islice
from typing import NamedTuple

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOATIME
_PIECE = 1 << 20
#: set by the host where the file lies
_OWN = "security.selinux"


class _Level(NamedTuple):
    """A directory that both trees have."""

    path: str
    found: int
    expected: int
    names: Iterator[str]


def differences(found: str, expected: str, most: int = 3) -> list[str]:
    """What is not in the tree at ``found`` as it is in the one at ``expected``, in words, ``most`` of it."""
    comparison = _Comparison(found, expected).run()
    try:
        return list(islice(comparison, most))
    finally:
        comparison.close()


class _Comparison:
    def __init__(self, found: str, expected: str) -> None:
        self._tops = found, expected
        #: inode here → inode there, of files with several names
        self._links: dict[int, int] = {}

    def run(self) -> Generator[str, None, None]:
        levels: list[_Level] = []
        try:
            found, expected = (os.open(top, _DIRECTORY) for top in self._tops)
            yield from self._enter(levels, "", found, expected)
            while levels:
                level = levels[-1]
                name = next(level.names, None)
                if name is None:
                    levels.pop()
                    os.close(level.found)
                    os.close(level.expected)
                    continue
                yield from self._entry(levels, level, name)
        finally:
            for level in levels:
                os.close(level.found)
                os.close(level.expected)

    def _enter(self, levels: list[_Level], path: str, found: int, expected: int) -> Iterator[str]:
        ours, theirs = set(os.listdir(found)), set(os.listdir(expected))
        levels.append(_Level(path, found, expected, iter(sorted(ours & theirs))))
        for name in sorted(ours - theirs):
            yield f"{_shown(path, name)} is not of the layer"
        for name in sorted(theirs - ours):
            yield f"{_shown(path, name)} is missing"
        if not path:
            yield from self._described(".", found, expected, ".")

    def _entry(self, levels: list[_Level], level: _Level, name: str) -> Iterator[str]:
        shown = _shown(level.path, name)
        is_directory = yield from self._described(shown, level.found, level.expected, name)
        if is_directory:
            found = os.open(name, _DIRECTORY, dir_fd=level.found)
            try:
                expected = os.open(name, _DIRECTORY, dir_fd=level.expected)
            except BaseException:
                os.close(found)
                raise
            yield from self._enter(levels, f"{level.path}{name}/", found, expected)

    def _described(self, shown: str, found: int, expected: int, name: str) -> Generator[str, None, bool]:
        """Compares two entries; whether both are directories."""
        ours = os.stat(name, dir_fd=found, follow_symlinks=False)
        theirs = os.stat(name, dir_fd=expected, follow_symlinks=False)
        if stat.S_IFMT(ours.st_mode) != stat.S_IFMT(theirs.st_mode):
            yield f"{shown} is {_kind(ours)}, not {_kind(theirs)}"
            return False
        is_directory = stat.S_ISDIR(ours.st_mode)
        for what, here, there in facts(ours, theirs, is_directory):
            if here != there:
                yield f"{shown} has {what} {here}, not {there}"
        if (here := attributes(found, name)) != (there := attributes(expected, name)):
            names = sorted(each for each in here.keys() | there.keys() if here.get(each) != there.get(each))
            yield f"{shown} has other extended attributes: {', '.join(names)}"
        if not is_directory and not self._linked_alike(ours, theirs):
            yield f"{shown} is hard-linked otherwise"
        if stat.S_ISLNK(ours.st_mode) and os.readlink(name, dir_fd=found) != os.readlink(name, dir_fd=expected):
            yield f"{shown} leads elsewhere"
        if stat.S_ISREG(ours.st_mode) and ours.st_size == theirs.st_size and not same_content(found, expected, name):
            yield f"{shown} has other content"
        return is_directory

    def _linked_alike(self, ours: os.stat_result, theirs: os.stat_result) -> bool:
        if max(ours.st_nlink, theirs.st_nlink) == 1:
            return True
        same = self._links.setdefault(ours.st_ino, theirs.st_ino) == theirs.st_ino
        return same and ours.st_nlink == theirs.st_nlink


def facts(ours: os.stat_result, theirs: os.stat_result, is_directory: bool) -> Iterator[tuple[str, object, object]]:
    yield "device number", ours.st_rdev, theirs.st_rdev
    if _is_whiteout(ours):
        return
    yield "mode", f"{stat.S_IMODE(ours.st_mode):04o}", f"{stat.S_IMODE(theirs.st_mode):04o}"
    yield "owner", f"{ours.st_uid}:{ours.st_gid}", f"{theirs.st_uid}:{theirs.st_gid}"
    if not is_directory:
        yield "size", ours.st_size, theirs.st_size
        yield "time", ours.st_mtime_ns, theirs.st_mtime_ns


def _is_whiteout(entry: os.stat_result) -> bool:
    """Overlay's: it says nothing but that it is there, and has the time and owner of its making."""
    return stat.S_ISCHR(entry.st_mode) and entry.st_rdev == 0


def attributes(directory: int, name: str) -> dict[str, bytes]:
    """Through the descriptor's own name: there is no listxattr that takes a directory."""
    path = f"/proc/self/fd/{directory}/{name}"
    names = os.listxattr(path, follow_symlinks=False)
    return {each: os.getxattr(path, each, follow_symlinks=False) for each in names if each != _OWN}


def same_content(found: int, expected: int, name: str) -> bool:
    with (
        open(os.open(name, _FILE, dir_fd=found), "rb", buffering=0) as ours,
        open(os.open(name, _FILE, dir_fd=expected), "rb", buffering=0) as theirs,
    ):
        while True:
            here, there = ours.read(_PIECE), theirs.read(_PIECE)
            if here != there:
                return False
            if not here:
                return True


def _kind(entry: os.stat_result) -> str:
    kinds = {stat.S_IFDIR: "a directory", stat.S_IFLNK: "a symbolic link", stat.S_IFREG: "a file",
             stat.S_IFCHR: "a character device", stat.S_IFBLK: "a block device", stat.S_IFIFO: "a FIFO"}  # fmt: skip
    return kinds.get(stat.S_IFMT(entry.st_mode), "a socket")


def _shown(path: str, name: str) -> str:
    return repr(f"{path}{name}")
