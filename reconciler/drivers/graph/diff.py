"""What a container's writable layer changed, as a layer's archive (OCI image spec, "Layer Filesystem Changeset").

With overlay the upper directory says it: whiteouts become ``.wh.NAME``, opaque directories ``.wh..wh..opq``. Our mounts
make neither redirects nor metacopies (see ``overlayfs``). With vfs and btrfs the whole tree is compared with that of
the image's top layer. Trees are strangers': they are walked by descriptors, following no link.

Directories down to a change are always in the archive, for others make missing ones as they like. Sockets are left
out, as docker does. Holes become zeros. The container may run: what goes while it is looked at is left out.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator

from reconciler import errors
from reconciler.drivers.graph import comparing, entries, members, stacked, tar, tar_writing

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PIECE = 1 << 20
_KINDS = {stat.S_IFREG: tar.FILE, stat.S_IFLNK: tar.SYMLINK, stat.S_IFDIR: tar.DIRECTORY, stat.S_IFIFO: tar.FIFO,
          stat.S_IFCHR: tar.CHARACTER, stat.S_IFBLK: tar.BLOCK_DEVICE}  # fmt: skip


class _Level:
    """An open directory and its counterpart in the image (-1: none); ``told``: it is in the archive."""

    def __init__(self, path: bytes, upper: int, lower: int) -> None:
        self.path, self.upper, self.lower = path, upper, lower
        self.told = False
        ours = os.listdir(upper)
        names = {*ours, *os.listdir(lower)} if lower >= 0 else ours
        self.names = iter(sorted(map(os.fsencode, names)))

    def below(self, name: bytes) -> bytes:
        return self.path + b"/" + name if self.path else name

    def close(self) -> None:
        os.close(self.upper)
        if self.lower >= 0:
            os.close(self.lower)


class _Diff:
    def __init__(self, upper: str, lower: str, *, overlay: bool, without: Collection[bytes]) -> None:
        self._upper, self._lower, self._overlay, self._without = upper, lower, overlay, without
        self._stack: list[_Level] = []
        #: inode → the name under which it is in the archive
        self._stored: dict[int, bytes] = {}
        #: inodes with several names, one of which is new or other than in the image: all of them go
        self._relinked: set[int] = set()

    def pieces(self) -> Iterator[bytes]:
        if not self._overlay:
            self._find_relinked()
        for level, name in self._walk():
            if name:
                yield from self._entry(level, name)
            elif self._overlay or not self._same_directory(level, b"."):
                yield from self._tell()
        yield tar_writing.END

    def _walk(self) -> Iterator[tuple[_Level, bytes]]:
        """Every name of both trees, below the directory that holds it; each directory itself first, by an empty
        name."""
        try:
            yield self._enter(b"", self._upper, -1, self._lower or -1, -1), b""
            while self._stack:
                level = self._stack[-1]
                name = next(level.names, None)
                if name is None:
                    self._stack.pop().close()
                    continue
                yield level, name
                found = entries.lstat(level.upper, name)
                if found is not None and stat.S_ISDIR(found.st_mode):
                    before = entries.lstat(level.lower, name) if level.lower >= 0 else None
                    same = before is not None and stat.S_ISDIR(before.st_mode)
                    below = level.below(name)
                    try:
                        entered = self._enter(below, name, level.upper, name if same else -1, level.lower)
                    except FileNotFoundError:
                        continue
                    yield entered, b""
        finally:
            while self._stack:
                self._stack.pop().close()

    def _enter(self, path: bytes, name: bytes | str, upper: int, lower_name: bytes | str | int, lower: int) -> _Level:
        if len(self._stack) > entries.MAX_DEPTH:
            raise errors.Permanent(f"{entries.shown(path)} is more than {entries.MAX_DEPTH} directories deep")
        ours = os.open(name, entries.DIRECTORY, dir_fd=upper if upper >= 0 else None)
        theirs = -1
        try:
            if not isinstance(lower_name, int):
                theirs = os.open(lower_name, entries.DIRECTORY, dir_fd=lower if lower >= 0 else None)
            level = _Level(path, ours, theirs)
        except BaseException:
            os.close(ours)
            if theirs >= 0:
                os.close(theirs)
            raise
        self._stack.append(level)
        return level

    def _find_relinked(self) -> None:
        was: dict[int, int] = {}
        for level, name in self._walk():
            found = entries.lstat(level.upper, name) if name else None
            if found is None or stat.S_ISDIR(found.st_mode) or found.st_nlink == 1:
                continue
            before = entries.lstat(level.lower, name) if level.lower >= 0 else None
            if (
                before is None
                or was.setdefault(found.st_ino, before.st_ino) != before.st_ino
                or not _same(level, name, found, before)
            ):
                self._relinked.add(found.st_ino)

    def _same_directory(self, level: _Level, name: bytes) -> bool:
        if level.lower < 0:
            return False
        found, before = os.fstat(level.upper), os.fstat(level.lower)
        return found.st_mtime_ns == before.st_mtime_ns and _same(level, name, found, before)

    def _tell(self) -> Iterator[bytes]:
        """Puts the directories down to the present one into the archive."""
        for level in self._stack:
            if not level.told:
                level.told = True
                name = level.path + b"/" if level.path else b"./"
                found = os.fstat(level.upper)
                yield tar_writing.member(name, tar.DIRECTORY, found, xattrs=_xattrs(level.upper, b"."))
                if self._overlay and stacked.is_opaque(level.upper):
                    yield tar_writing.empty(level.below(b".wh..wh..opq"))

    def _entry(self, level: _Level, name: bytes) -> Iterator[bytes]:
        found = entries.lstat(level.upper, name)
        if found is None or (self._overlay and entries.is_whiteout(found)):
            yield from self._tell()
            yield tar_writing.empty(level.below(b".wh." + name))
            return
        if name.startswith(b".wh."):
            raise errors.Permanent(
                f"{entries.shown(level.below(name))} can be in no image: names that begin with .wh. stand for removals"
            )
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), b"")
        if not kind or kind == tar.DIRECTORY or self._unchanged(level, name, found):
            return
        if level.below(name) in self._without and kind == tar.FILE and not found.st_size:
            return
        yield from self._tell()
        yield from self._node(level, name, kind, found)

    def _unchanged(self, level: _Level, name: bytes, found: os.stat_result) -> bool:
        before = entries.lstat(level.lower, name) if level.lower >= 0 else None
        if self._overlay or before is None or found.st_ino in self._relinked:
            return False
        return _same(level, name, found, before)

    def _node(self, level: _Level, name: bytes, kind: bytes, found: os.stat_result) -> Iterator[bytes]:
        path = level.below(name)
        stored = self._stored.setdefault(found.st_ino, path) if found.st_nlink > 1 else path
        if stored != path:
            yield tar_writing.member(path, tar.LINK, found, link=stored)
            return
        try:
            if kind == tar.SYMLINK:
                target = os.fsencode(os.readlink(name, dir_fd=level.upper))
                yield tar_writing.member(path, kind, found, link=target)
            elif kind == tar.FILE:
                yield from _file(level.upper, name, path)
            else:
                yield tar_writing.member(path, kind, found)
        except FileNotFoundError:
            self._stored.pop(found.st_ino, None)  # its other names are not links to what is not in the archive


def pieces(upper: str, lower: str, *, overlay: bool, without: Collection[bytes] = ()) -> Iterator[bytes]:
    """The archive of what ``upper`` changes, but for empty files at the paths ``without``. ``overlay``: it is an upper
    directory, and ``lower`` is empty; otherwise both are whole trees (``lower`` empty: there is none).

    Raises ``Permanent`` for what no layer can hold, ``Temporary`` when files change while they are read."""
    try:
        yield from _Diff(upper, "" if overlay else lower, overlay=overlay, without=without).pieces()
    except OSError as error:
        raise errors.Temporary(f"the container's files cannot be read: {error.strerror}") from error


def _same(level: _Level, name: bytes, found: os.stat_result, before: os.stat_result) -> bool:
    """Whether an entry is what the image has; times of directories are not looked at."""
    if stat.S_IFMT(found.st_mode) != stat.S_IFMT(before.st_mode):
        return False
    if (found.st_ino, found.st_ctime_ns) == (before.st_ino, before.st_ctime_ns):
        return True  # shared with it still: a snapshot of btrfs
    text = os.fsdecode(name)
    if any(ours != theirs for _, ours, theirs in comparing.facts(found, before, stat.S_ISDIR(found.st_mode))):
        return False
    if comparing.attributes(level.upper, text) != comparing.attributes(level.lower, text):
        return False
    if stat.S_ISLNK(found.st_mode):
        return os.readlink(name, dir_fd=level.upper) == os.readlink(name, dir_fd=level.lower)
    return not stat.S_ISREG(found.st_mode) or comparing.same_content(level.upper, level.lower, text)


def _file(directory: int, name: bytes, path: bytes) -> Iterator[bytes]:
    descriptor = os.open(name, _FILE, dir_fd=directory)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise errors.Temporary(
                f"{entries.shown(path)} became something else while it was read: stop the container, or try again"
            )
        yield tar_writing.member(path, tar.FILE, found, xattrs=_xattrs(directory, name))
        left = found.st_size
        while left:
            piece = os.read(descriptor, min(left, _PIECE))
            if not piece:
                raise errors.Temporary(
                    f"{entries.shown(path)} became shorter while it was read: stop the container, or try again"
                )
            left -= len(piece)
            yield piece
        yield tar_writing.padding(found.st_size)
    finally:
        os.close(descriptor)


def _xattrs(directory: int, name: bytes) -> dict[bytes, bytes]:
    """Those that a layer may have."""
    found = comparing.attributes(directory, os.fsdecode(name))
    return {os.fsencode(key): value for key, value in found.items() if members.kept(os.fsencode(key))}
