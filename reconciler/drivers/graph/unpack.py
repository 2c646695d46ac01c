"""Unpacking one layer's archive into a directory: every kind of member, with all that belongs to it, and whiteouts.

Whiteouts (OCI image spec, "Layer Filesystem Changeset"): ``.wh.NAME`` takes NAME of the layers below away,
``.wh..wh..opq`` all that the layers below have in its directory; neither touches what the same layer brings. In the
*overlay* form they become overlay's own marks (opaque ones are only noted, as their xattr takes CAP_SYS_ADMIN); in the
*applied* form the directory holds a copy of the layers below, and what is taken away is removed from it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator

from reconciler.drivers.graph import merged, tar, trees
from reconciler.drivers.graph.merged import Directory, Refused, Tree, shown

_WHITEOUT = b".wh."
_OPAQUE = b".wh..wh..opq"
#: other names that aufs kept for itself
_AUFS = b".wh..wh."
_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
#: seconds: more than any file system keeps, less than what the calls take
_FURTHEST = (1 << 40) * 1_000_000_000
_SYSTEM = (b"security.capability", b"system.posix_acl_access", b"system.posix_acl_default")


class Full(Exception):
    """no space left on the file system"""


class Budget:
    """What a layer may still use: bytes of files (holes count), and members."""

    def __init__(self, size: int, entries: int) -> None:
        self._size, self._entries = size, entries
        self.used = 0

    def spend(self, size: int) -> None:
        self.used += size
        self._entries -= 1
        if self.used > self._size:
            raise Refused(f"its files have more than the {self._size} bytes that are allowed or that fit")
        if self._entries < 0:
            raise Refused("it has more files than are allowed or than fit")


class Unpacker:
    """Adds members to a tree. ``overlay`` chooses the form of whiteouts; ``lowest``: no layers are below."""

    def __init__(self, tree: Tree, budget: Budget, *, overlay: bool, lowest: bool) -> None:
        self._tree, self._budget, self._overlay, self._lowest = tree, budget, overlay, lowest
        self._own: set[bytes] = set()
        #: whether the root's owner, mode and time are what they should be: those of the layers below, unless told
        self.rooted = tree.top.lower != merged.UNKNOWN

    def run(self, reader: tar.Reader) -> None:
        self._begin()
        for entry in reader:
            try:
                self._add(entry, reader)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT) and not entry.xattrs:
                    raise Full() from error
                raise Refused(f"{shown(entry.name)}: {error.strerror}") from error
        self._finish()

    def _begin(self) -> None:
        """The root is as the layers below have it, until the archive says otherwise."""
        root = self._tree.top
        if root.lower >= 0:
            found = os.fstat(root.lower)
            trees.metadata(root.lower, root.upper, found)
            self._tree.times[b""] = found.st_mtime_ns
        elif not self.rooted:
            return
        elif self._lowest:
            os.fchmod(root.upper, 0o755)
            self._tree.times[b""] = 0
        else:
            self._tree.times[b""] = os.fstat(root.upper).st_mtime_ns

    def _finish(self) -> None:
        """Directories get their times last: making things in them changed those."""
        for path in sorted(self._tree.times):
            directory = self._tree.reopen(path)
            if directory is not None:
                mtime = _time(self._tree.times[path])
                os.utime(directory.upper, ns=(mtime, mtime))

    def _add(self, entry: tar.Entry, reader: tar.Reader) -> None:
        self._budget.spend(entry.size)
        path = merged.clean(entry.name)
        parent, _, name = path.rpartition(b"/")
        if not name:
            self._root(entry)
        elif name.startswith(_WHITEOUT):
            self._take_away(parent, name)
        elif entry.kind == tar.CHARACTER and entry.device == (0, 0):
            self._take_away(parent, _WHITEOUT + name)  # overlay's own mark, as some tools store it
        elif entry.kind == tar.LINK:
            self._link(entry, parent, name)
        else:
            directory = self._enter(parent)
            self._made(directory.below(name))
            if entry.kind == tar.DIRECTORY:
                self._directory(directory, name, entry)
            elif entry.kind == tar.FILE:
                self._file(directory, name, entry, reader.data())
            else:
                self._node(directory, name, entry)

    def _enter(self, path: bytes) -> Directory:
        directory = self._tree.walk(path, make=True)
        if directory is None:
            raise Refused(f"{shown(path)} cannot be reached")
        return directory

    def _made(self, path: bytes) -> None:
        """Notes what this layer brings, with the directories down to it: its own whiteouts spare them."""
        self._tree.lent.discard(path)
        while path and not self._overlay and path not in self._own:
            self._own.add(path)
            path = path.rpartition(b"/")[0]

    def _root(self, entry: tar.Entry) -> None:
        if entry.kind != tar.DIRECTORY:
            raise Refused("the root is not a directory in it")
        directory = self._enter(b"")
        _dress(directory.upper, entry, fresh=False)
        self._tree.times[b""] = entry.mtime
        self.rooted = True

    def _directory(self, directory: Directory, name: bytes, entry: tar.Entry) -> None:
        fresh = True
        try:
            self._tree.make(name, replaced=False)
        except FileExistsError:
            found = merged.lstat(directory.upper, name)
            fresh = found is None or not stat.S_ISDIR(found.st_mode)
            if fresh:
                os.unlink(name, dir_fd=directory.upper)
                self._tree.make(name, replaced=True)
        descriptor = os.open(name, merged.DIRECTORY, dir_fd=directory.upper)
        try:
            _dress(descriptor, entry, fresh=fresh)
        finally:
            os.close(descriptor)
        path = directory.below(name)
        self._tree.times[path] = entry.mtime
        if path in self._tree.implied:
            self._tree.implied[path] = False

    def _file(self, directory: Directory, name: bytes, entry: tar.Entry, data: Iterator[memoryview]) -> None:
        try:
            descriptor = os.open(name, _FILE, 0o600, dir_fd=directory.upper)
        except FileExistsError:
            trees.remove(directory.upper, name)
            descriptor = os.open(name, _FILE, 0o600, dir_fd=directory.upper)
        try:
            if entry.segments is None:
                for piece in data:
                    _write(descriptor, piece)
            else:
                _write_segments(descriptor, entry, data)
            _dress(descriptor, entry, fresh=True)
            mtime = _time(entry.mtime)
            os.utime(descriptor, ns=(mtime, mtime))
        finally:
            os.close(descriptor)

    def _node(self, directory: Directory, name: bytes, entry: tar.Entry) -> None:
        """Links, devices and pipes."""
        trees.remove(directory.upper, name)
        if entry.kind == tar.SYMLINK:
            os.symlink(entry.link, name, dir_fd=directory.upper)
        else:
            os.mknod(name, 0o600 | _TYPES[entry.kind], _device(entry), dir_fd=directory.upper)
        os.chown(name, entry.uid, entry.gid, dir_fd=directory.upper, follow_symlinks=False)
        if entry.kind != tar.SYMLINK:
            os.chmod(name, entry.mode, dir_fd=directory.upper)
        mtime = _time(entry.mtime)
        os.utime(name, ns=(mtime, mtime), dir_fd=directory.upper, follow_symlinks=False)

    def _link(self, entry: tar.Entry, parent: bytes, name: bytes) -> None:
        target = merged.clean(entry.link)
        above, _, called = target.rpartition(b"/")
        source = self._tree.walk(above, make=False) if called else None
        found = self._linkable(source, called) if source is not None else None
        if source is None or found is None:
            raise Refused(f"{shown(entry.name)} is a hard link to {shown(entry.link)}, which does not exist")
        holder = os.dup(source.upper)
        try:
            directory = self._enter(parent)
            self._made(directory.below(name))
            present = merged.lstat(directory.upper, name)
            if present is not None and os.path.samestat(present, found):
                return
            trees.remove(directory.upper, name)
            os.link(called, name, src_dir_fd=holder, dst_dir_fd=directory.upper, follow_symlinks=False)
        finally:
            os.close(holder)

    def _linkable(self, source: Directory, name: bytes) -> os.stat_result | None:
        """What a hard link leads to; a file of the layers below is copied up first."""
        found = merged.lstat(source.upper, name)
        if found is None:
            below = source.in_lower(name)
            if below is None or stat.S_ISDIR(below.st_mode):
                return None
            trees.copy_node(source.lower, source.upper, name, below)
            self._budget.spend(below.st_size)
            self._tree.lent.add(source.below(name))
            found = merged.lstat(source.upper, name)
        return None if found is None or merged.is_whiteout(found) or stat.S_ISDIR(found.st_mode) else found

    def _take_away(self, parent: bytes, name: bytes) -> None:
        """A whiteout's name: what it stands for goes."""
        if name != _OPAQUE and name.startswith(_AUFS):
            return
        gone = name[len(_WHITEOUT) :]
        if gone in (b"", b".", b".."):
            raise Refused(f"the whiteout {shown(name)} names nothing")
        directory = self._tree.walk(parent, make=False)
        if directory is None:
            return
        directory.know_lower()
        if name != _OPAQUE:
            self._hide(directory, gone)
        elif not self._overlay:
            self._prune(directory.upper, directory.path)
        elif directory.path:
            self._tree.hide_top()
        elif directory.lower >= 0:
            # overlay merges the roots of all layers, whatever their marks: name by name
            for child in os.listdir(directory.lower):
                self._hide(directory, os.fsencode(child))

    def _hide(self, directory: Directory, name: bytes) -> None:
        """Takes ``name`` of the layers below away; what this layer brought under the name stays."""
        found = merged.lstat(directory.upper, name)
        if not self._overlay:
            self._strip(directory.upper, directory.below(name), name)
            return
        if directory.below(name) in self._tree.lent:
            trees.remove(directory.upper, name)
            found = None
        if found is None and directory.in_lower(name) is not None:
            os.mknod(name, stat.S_IFCHR, 0, dir_fd=directory.upper)
        elif found is not None and stat.S_ISDIR(found.st_mode):
            self._tree.hide(name)

    def _strip(self, directory: int, path: bytes, name: bytes) -> None:
        """Removes from a copy of the layers below what the present layer did not bring."""
        if path not in self._own:
            trees.remove(directory, name)
            return
        found = merged.lstat(directory, name)
        if found is not None and stat.S_ISDIR(found.st_mode):
            below = os.open(name, merged.DIRECTORY, dir_fd=directory)
            try:
                self._prune(below, path)
            finally:
                os.close(below)

    def _prune(self, directory: int, path: bytes) -> None:
        for text in os.listdir(directory):
            name = os.fsencode(text)
            self._strip(directory, path + b"/" + name if path else name, name)


_TYPES = {tar.CHARACTER: stat.S_IFCHR, tar.BLOCK_DEVICE: stat.S_IFBLK, tar.FIFO: stat.S_IFIFO}


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


def _dress(descriptor: int, entry: tar.Entry, *, fresh: bool) -> None:
    """Owner, then mode and xattrs, which a change of owner would clear. A file has no xattrs but the archive's."""
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
    """File capabilities, the users' own and ACLs. ``trusted.*`` and ``user.overlay.*`` would let an image steer the
    host's overlay; labels of the host's security modules are the host's."""
    if name.startswith(b"user."):
        return not name.startswith(b"user.overlay.")
    return name in _SYSTEM


def _time(mtime: int) -> int:
    return max(-_FURTHEST, min(mtime, _FURTHEST))
