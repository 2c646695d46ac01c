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
import struct
from collections.abc import Iterator

from reconciler import errors
from reconciler.drivers.graph import measure, overlay, trees, vfs

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
    stack = _entered(directory, name)
    try:
        while stack:
            above, called, current, names = stack[-1]
            below = next(names, None)
            if below is not None:
                stack += _entered(current, below)
                continue
            stack.pop()
            if os.fstat(current).st_ino == _ROOT and stack:
                _destroyed(above, called)
            os.close(current)
    finally:
        for _, _, current, _ in stack:
            os.close(current)


def _entered(directory: int, name: bytes) -> list[tuple[int, bytes, int, Iterator[bytes]]]:
    """A frame for the directory ``name``; none if it is no directory, or was a subvolume that is gone already."""
    try:
        current = os.open(name, _DIRECTORY, dir_fd=directory)
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP, errno.ENOENT):
            return []
        raise
    try:
        if os.fstat(current).st_ino == _ROOT:
            fcntl.ioctl(current, _SUBVOL_SETFLAGS, struct.pack("=Q", 0))  # one made read-only would keep those in it
        with os.scandir(current) as entries:
            names = [os.fsencode(entry.name) for entry in entries if entry.is_dir(follow_symlinks=False)]
    except BaseException:
        os.close(current)
        raise
    return [(directory, name, current, iter(names))]
