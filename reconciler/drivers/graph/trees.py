"""Copying and removing directory trees of strangers' making: by descriptors, following no link.

Light on purpose: the extraction helper imports it. Names are bytes.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from reconciler.drivers.graph import descent

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 64 << 20
#: overlay's own marks, and what only makes sense where it was set
_NOT_COPIED = ("trusted.overlay.", "security.selinux")


def remove(directory: int, name: bytes) -> None:
    """Removes what ``name`` in ``directory`` is, with all below it. Gone already: no effect."""
    while not _removed(directory, name):
        with descent.Descent(directory, name) as way:
            _empty(way)
        _remove_empty(directory, name)


def _removed(directory: int, name: bytes) -> bool:
    """Whether ``name`` is gone now; False means that it is a directory."""
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        return True
    except (IsADirectoryError, PermissionError):
        return False
    return True


def _empty(way: descent.Descent) -> None:
    """Removes all that is below a directory."""
    while True:
        name = next(way.names, None)
        if name is not None:
            if not _removed(way.here, name):
                way.enter(name)
        elif way.at_top:
            return
        else:
            left = way.leave()
            if not _remove_empty(way.here, left):
                way.enter(left)


def _remove_empty(directory: int, name: bytes) -> bool:
    """False if something has come into it meanwhile."""
    try:
        os.rmdir(name, dir_fd=directory)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise
        return False
    return True


def remove_path(path: str) -> None:
    """``remove`` by path."""
    above = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        remove(above, os.fsencode(os.path.basename(path)))
    finally:
        os.close(above)


class _Frame(NamedTuple):
    """A directory that is being copied; ``path`` is relative to the root."""

    source: int
    target: int
    path: bytes
    names: Iterator[str]


class Copier:
    """Copies one tree: owners, modes, times, xattrs, hard links within it, holes and devices stay as they are."""

    def __init__(self, source: int, target: int) -> None:
        """``source`` and ``target`` are open directories; ``target`` is empty."""
        self._source, self._target = source, target
        self._linked: dict[tuple[int, int], bytes] = {}

    def run(self) -> None:
        """Copies what is below ``source``, and makes ``target`` like ``source`` itself."""
        stack = [_Frame(self._source, self._target, b"", iter(os.listdir(self._source)))]
        try:
            while stack:
                frame = stack[-1]
                name = next(frame.names, None)
                if name is not None:
                    stack += self._node(frame, os.fsencode(name))
                    continue
                metadata(frame.source, frame.target, os.fstat(frame.source))
                stack.pop()
                if stack:
                    _close(frame)
        finally:
            for frame in stack[1:]:
                _close(frame)

    def _node(self, frame: _Frame, name: bytes) -> list[_Frame]:
        """Copies one name; a directory's frame is returned to be gone through next."""
        found = os.stat(name, dir_fd=frame.source, follow_symlinks=False)
        path = frame.path + b"/" + name if frame.path else name
        if stat.S_ISDIR(found.st_mode):
            os.mkdir(name, 0o700, dir_fd=frame.target)
            below = os.open(name, _DIRECTORY, dir_fd=frame.source)
            return [_Frame(below, os.open(name, _DIRECTORY, dir_fd=frame.target), path, iter(os.listdir(below)))]
        first = self._linked.setdefault((found.st_dev, found.st_ino), path) if found.st_nlink > 1 else path
        if first != path:
            os.link(first, name, src_dir_fd=self._target, dst_dir_fd=frame.target, follow_symlinks=False)
        else:
            copy_node(frame.source, frame.target, name, found)
        return []


def _close(frame: _Frame) -> None:
    os.close(frame.source)
    os.close(frame.target)


def copy_node(source: int, target: int, name: bytes, found: os.stat_result) -> None:
    """Copies one thing that is no directory, with all that belongs to it, to the same name in another directory."""
    if stat.S_ISREG(found.st_mode):
        _copy_file(source, target, name, found)
        return
    if stat.S_ISLNK(found.st_mode):
        os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
    else:
        os.mknod(name, found.st_mode, found.st_rdev, dir_fd=target)
    os.chown(name, found.st_uid, found.st_gid, dir_fd=target, follow_symlinks=False)
    if not stat.S_ISLNK(found.st_mode):
        os.chmod(name, stat.S_IMODE(found.st_mode), dir_fd=target)
    os.utime(name, ns=(found.st_atime_ns, found.st_mtime_ns), dir_fd=target, follow_symlinks=False)


def _copy_file(source: int, target: int, name: bytes, found: os.stat_result) -> None:
    reader = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source)
    try:
        writer = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=target)
        try:
            _copy_data(reader, writer, found.st_size)
            metadata(reader, writer, found)
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def _copy_data(reader: int, writer: int, size: int) -> None:
    """Copies the parts that hold data; holes stay holes."""
    position = 0
    while position < size:
        try:
            begin = os.lseek(reader, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            break
        position = os.lseek(reader, begin, os.SEEK_HOLE)
        while begin < position:
            copied = _copy_piece(reader, writer, min(position - begin, _CHUNK), begin)
            if not copied:
                raise OSError(errno.EIO, "the file became shorter while it was copied")
            begin += copied
    os.ftruncate(writer, size)


def _copy_piece(reader: int, writer: int, count: int, offset: int) -> int:
    """Copies up to ``count`` bytes, without a copy on disk where the file system can. Linux 5.19 and later do not
    between file systems of two types, as an overlay of several layers and the one that it is on are."""
    try:
        return os.copy_file_range(reader, writer, count, offset, offset)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP):
            raise
    os.lseek(writer, offset, os.SEEK_SET)
    return os.sendfile(writer, reader, offset, count)


def metadata(source: int, target: int, found: os.stat_result) -> None:
    """Makes an open file or directory like another: owner, then mode and xattrs (which a change of owner clears), then
    times."""
    os.fchown(target, found.st_uid, found.st_gid)
    os.fchmod(target, stat.S_IMODE(found.st_mode))
    for key in os.listxattr(source):
        if not key.startswith(_NOT_COPIED):
            os.setxattr(target, key, os.getxattr(source, key))
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
