"""Making one member of an archive in an open directory: data, owner, mode, xattrs and time, as the archive has them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from reconciler.drivers.graph import tar, trees
from reconciler.drivers.graph.entries import shown
from reconciler.drivers.graph.layer_tree import Refused

_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
#: seconds: more than any file system keeps, less than what the calls take
_FURTHEST = (1 << 40) * 1_000_000_000
_SYSTEM = (b"security.capability", b"system.posix_acl_access", b"system.posix_acl_default")
_TYPES = {tar.CHARACTER: stat.S_IFCHR, tar.BLOCK_DEVICE: stat.S_IFBLK, tar.FIFO: stat.S_IFIFO}


def make_file(directory: int, name: bytes, entry: tar.Entry, data: Iterator[memoryview]) -> None:
    """A regular file in the place of whatever has the name."""
    try:
        descriptor = os.open(name, _FILE, 0o600, dir_fd=directory)
    except FileExistsError:
        trees.remove(directory, name)
        descriptor = os.open(name, _FILE, 0o600, dir_fd=directory)
    try:
        if entry.segments is None:
            for piece in data:
                _write(descriptor, piece)
        else:
            _write_segments(descriptor, entry, data)
        dress(descriptor, entry, fresh=True)
        mtime = time(entry.mtime)
        os.utime(descriptor, ns=(mtime, mtime))
    finally:
        os.close(descriptor)


def make_node(directory: int, name: bytes, entry: tar.Entry) -> None:
    """A symbolic link, device or pipe in the place of whatever has the name."""
    trees.remove(directory, name)
    if entry.kind == tar.SYMLINK:
        os.symlink(entry.link, name, dir_fd=directory)
    else:
        os.mknod(name, 0o600 | _TYPES[entry.kind], _device(entry), dir_fd=directory)
    os.chown(name, entry.uid, entry.gid, dir_fd=directory, follow_symlinks=False)
    if entry.kind != tar.SYMLINK:
        os.chmod(name, entry.mode, dir_fd=directory)
    mtime = time(entry.mtime)
    os.utime(name, ns=(mtime, mtime), dir_fd=directory, follow_symlinks=False)


def dress(descriptor: int, entry: tar.Entry, *, fresh: bool) -> None:
    """Owner, then mode and xattrs, which a change of owner would clear. One that is not ``fresh`` keeps no xattrs but
    the archive's."""
    os.fchown(descriptor, entry.uid, entry.gid)
    os.fchmod(descriptor, entry.mode)
    if not fresh:
        for key in os.listxattr(descriptor):
            if kept(os.fsencode(key)):
                os.removexattr(descriptor, key)
    for name, value in entry.xattrs.items():
        if kept(name):
            os.setxattr(descriptor, name, value)


def kept(name: bytes) -> bool:
    """Whether a layer may have this xattr: file capabilities, the users' own and ACLs. ``trusted.*`` and
    ``user.overlay.*`` would let an image steer the host's overlay; labels of the host's security modules are the
    host's."""
    if name.startswith(b"user."):
        return not name.startswith(b"user.overlay.")
    return name in _SYSTEM


def time(mtime: int) -> int:
    """Nanoseconds that every file system takes."""
    return max(-_FURTHEST, min(mtime, _FURTHEST))


def _device(entry: tar.Entry) -> int:
    major, minor = entry.device
    if not (0 <= major < 1 << 12 and 0 <= minor < 1 << 20):
        raise Refused(f"{shown(entry.name)} is a device {major}:{minor}, which does not exist")
    return os.makedev(major, minor)


def _write(descriptor: int, data: memoryview) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _write_segments(descriptor: int, entry: tar.Entry, data: Iterator[memoryview]) -> None:
    """Puts the data where it belongs; what lies between stays a hole."""
    piece = memoryview(b"")
    for offset, length in entry.segments or ():
        os.lseek(descriptor, offset, os.SEEK_SET)
        while length:
            if not piece:
                piece = next(data)
            part, piece = piece[:length], piece[length:]
            _write(descriptor, part)
            length -= len(part)
    for _ in data:
        continue
    os.ftruncate(descriptor, entry.size)
