"""The btrfs graph driver: every layer is a subvolume, a snapshot of the one below it that was added to; a container's
root file system is a snapshot of the top one. Nothing is mounted.

The calls are ioctls (linux/btrfs.h), so no program of btrfs-progs is needed. Whoever may write to a directory may make
subvolumes in it, so a container can; they are removed with its root file system.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import struct
from collections.abc import Iterator

from reconciler import errors
from reconciler.drivers.graph import descent, entries, measure, overlay, trees, vfs

#: _IOW(0x94, number, 4096 bytes), as all architectures but alpha, mips, powerpc and sparc have it
_SUBVOL_CREATE = 0x5000940E
_SNAP_DESTROY = 0x5000940F
_SNAP_CREATE_V2 = 0x50009417
#: _IOW(0x94, 26, __u64)
_SUBVOL_SETFLAGS = 0x4008941A
_ARGUMENTS = 4096
#: BTRFS_FIRST_FREE_OBJECTID: the inode of every subvolume's root, and of nothing else
_ROOT = 256
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Subvolumes:
    """``volumes.Volumes`` of btrfs subvolumes."""

    def make(self, path: str, mode: int = 0o700) -> None:
        with _above(path) as (directory, name):
            _call(directory, _SUBVOL_CREATE, struct.pack("=q", 0) + name)
        os.chmod(path, mode)

    def copy(self, source: str, target: str) -> None:
        """A snapshot: its cost is one commit of the file system, whatever the size."""
        descriptor = os.open(source, _DIRECTORY)
        try:
            if os.fstat(descriptor).st_ino != _ROOT:
                raise OSError(errno.EINVAL, f"{source} is no subvolume: was it copied here from elsewhere?")
            with _above(target) as (directory, name):
                _call(directory, _SNAP_CREATE_V2, struct.pack("=qQQ4Q", descriptor, 0, 0, 0, 0, 0, 0) + name)
        finally:
            os.close(descriptor)

    def remove(self, path: str) -> None:
        with _above(path) as (directory, name):
            if not _destroyed(directory, name):
                _destroy_below(directory, name)
                if not _destroyed(directory, name):
                    trees.remove(directory, name)


class BtrfsDriver(vfs.VfsDriver):
    """``base.GraphDriver``. ``graph`` holds layers in the *applied* form, in ``Subvolumes``."""

    name = "btrfs"

    def probe(self) -> str:
        """Makes a subvolume, a snapshot of it, and removes both."""
        root = self.graph.root
        kind = overlay.file_system(root)
        if kind != "btrfs":
            raise errors.Permanent(f"the btrfs driver does not work in {root}: it is on {kind}")
        aside = self._snapshots.begin("probe")
        try:
            self.graph.volumes.make(os.path.join(aside, "one"))
            self.graph.volumes.copy(os.path.join(aside, "one"), os.path.join(aside, "two"))
        except OSError as error:
            raise errors.Permanent(f"the btrfs driver does not work in {root}: {error.strerror}") from error
        finally:
            self.graph.volumes.remove(aside)
        return f"btrfs on {kind}"

    def usage(self, id: str) -> int:
        """A subvolume is a file system of its own to whoever walks; what it shares with its layers counts too."""
        return measure.tree(self.rootfs(id))


@contextlib.contextmanager
def _above(path: str) -> Iterator[tuple[int, bytes]]:
    """The directory that holds ``path``, open, and the name there."""
    descriptor = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor, os.fsencode(os.path.basename(path))
    finally:
        os.close(descriptor)


def _call(descriptor: int, request: int, arguments: bytes) -> None:
    fcntl.ioctl(descriptor, request, bytearray(arguments.ljust(_ARGUMENTS, b"\0")))


def _destroyed(directory: int, name: bytes) -> bool:
    """Whether ``name`` is gone now; False means that it is no subvolume, or has some in it."""
    try:
        _call(directory, _SNAP_DESTROY, struct.pack("=q", 0) + name)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOTDIR, errno.ENOTEMPTY):
            return False
        raise
    return True


def _destroy_below(directory: int, name: bytes) -> None:
    """Destroys every subvolume in the tree ``name``, the inner ones first; follows no link."""
    try:
        way = descent.Descent(directory, name)
    except (FileNotFoundError, NotADirectoryError):
        return
    with way:
        _make_writable(way.here)
        while True:
            below = next(way.names, None)
            if below is not None:
                if _stands_in_the_way(way.here, below):
                    way.enter(below)
                    _make_writable(way.here)
                continue
            if way.at_top:
                return
            is_subvolume = os.fstat(way.here).st_ino == _ROOT
            left = way.leave()
            if is_subvolume:
                _destroyed(way.here, left)


def _stands_in_the_way(directory: int, name: bytes) -> bool:
    """Whether ``name`` is a directory, and no subvolume that could be destroyed at once."""
    found = entries.lstat(directory, name)
    if found is None or not stat.S_ISDIR(found.st_mode):
        return False
    return found.st_ino != _ROOT or not _destroyed(directory, name)


def _make_writable(directory: int) -> None:
    """One made read-only would keep those in it."""
    if os.fstat(directory).st_ino == _ROOT:
        fcntl.ioctl(directory, _SUBVOL_SETFLAGS, struct.pack("=Q", 0))
