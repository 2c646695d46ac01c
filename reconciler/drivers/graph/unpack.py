"""Unpacking one layer's archive into a directory: every kind of member, with all that belongs to it, and whiteouts.

In the *overlay* form the directory holds only what the layer changes, with overlay's own marks; in the *applied* form
it holds a copy of the layers below, which the layer changes (see ``whiteouts``).
"""

from __future__ import annotations

import errno
import os

from reconciler.drivers.graph import entries, layer_tree, members, tar, trees, whiteouts
from reconciler.drivers.graph.budget import Budget
from reconciler.drivers.graph.entries import shown
from reconciler.drivers.graph.layer_tree import Directory, Refused, Tree


class Full(Exception):
    """no space left on the file system"""


class Unpacker:
    """Adds members to a tree. ``overlay`` chooses the form; ``lowest``: no layers are below."""

    def __init__(self, tree: Tree, budget: Budget, *, overlay: bool, lowest: bool) -> None:
        self._tree, self._budget, self._lowest = tree, budget, lowest
        self._form = whiteouts.form(tree, overlay=overlay, lowest=lowest)
        #: whether the root's owner, mode and time are what they should be: those of the layers below, unless told
        self.rooted = tree.top.lower != layer_tree.UNKNOWN

    def run(self, reader: tar.Reader) -> None:
        """Raises ``Refused``, ``tar.Malformed``, ``Full``, or ``layer_tree.Needed``."""
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
                mtime = members.time(self._tree.times[path])
                os.utime(directory.upper, ns=(mtime, mtime))

    def _add(self, entry: tar.Entry, reader: tar.Reader) -> None:
        self._budget.spend(entry.size)
        made = self._tree.unnamed
        self._add_at(entry, reader)
        self._budget.count(self._tree.unnamed - made)

    def _add_at(self, entry: tar.Entry, reader: tar.Reader) -> None:
        path = layer_tree.clean(entry.name)
        parent, _, name = path.rpartition(b"/")
        if not name:
            self._root(entry)
        elif whiteouts.is_whiteout(name):
            whiteouts.apply(self._tree, self._form, parent, name)
        elif entry.kind == tar.CHARACTER and entry.device == (0, 0):
            # overlay's own mark, as some tools store it
            whiteouts.apply(self._tree, self._form, parent, whiteouts.of(name))
        elif entry.kind == tar.LINK:
            self._link(entry, parent, name)
        else:
            directory = self._enter(parent)
            self._form.brings(directory.below(name))
            if entry.kind == tar.DIRECTORY:
                self._directory(directory, name, entry)
            elif entry.kind == tar.FILE:
                members.make_file(directory.upper, name, entry, reader.data())
            else:
                members.make_node(directory.upper, name, entry)

    def _enter(self, path: bytes) -> Directory:
        directory = self._tree.walk(path, make=True)
        if directory is None:
            raise Refused(f"{shown(path)} cannot be reached")
        return directory

    def _root(self, entry: tar.Entry) -> None:
        if entry.kind != tar.DIRECTORY:
            raise Refused("the root is not a directory in it")
        directory = self._enter(b"")
        if not self.rooted:
            self._tree.tell(b"")
        members.dress(directory.upper, entry, fresh=False)
        self._tree.times[b""] = entry.mtime
        self.rooted = True

    def _directory(self, directory: Directory, name: bytes, entry: tar.Entry) -> None:
        fresh = True
        try:
            self._tree.make(name, replaced=False)
        except FileExistsError:
            fresh = not entries.is_directory(entries.lstat(directory.upper, name))
            if fresh:
                os.unlink(name, dir_fd=directory.upper)
                self._tree.make(name, replaced=True)
        descriptor = os.open(name, entries.DIRECTORY, dir_fd=directory.upper)
        try:
            members.dress(descriptor, entry, fresh=fresh)
        finally:
            os.close(descriptor)
        path = directory.below(name)
        self._tree.times[path] = entry.mtime
        self._tree.tell(path)

    def _link(self, entry: tar.Entry, parent: bytes, name: bytes) -> None:
        target = layer_tree.clean(entry.link)
        above, _, called = target.rpartition(b"/")
        source = self._tree.walk(above, make=False) if called else None
        found = self._linkable(source, called) if source is not None else None
        if source is None or found is None:
            raise Refused(f"{shown(entry.name)} is a hard link to {shown(entry.link)}, which does not exist")
        holder = os.dup(source.upper)
        try:
            directory = self._enter(parent)
            self._form.brings(directory.below(name))
            present = entries.lstat(directory.upper, name)
            if present is not None and os.path.samestat(present, found):
                return
            trees.remove(directory.upper, name)
            if entries.lstat(holder, called) is None or entries.is_directory(entries.lstat(holder, called)):
                raise Refused(f"{shown(entry.name)} is a hard link to {shown(entry.link)}, in whose place it comes")
            os.link(called, name, src_dir_fd=holder, dst_dir_fd=directory.upper, follow_symlinks=False)
        finally:
            os.close(holder)

    def _linkable(self, source: Directory, name: bytes) -> os.stat_result | None:
        """What a hard link leads to; a file of the layers below is copied up first."""
        found = entries.lstat(source.upper, name)
        if found is None:
            below = source.in_lower(name)
            if below is None or entries.is_directory(below):
                return None
            trees.copy_node(source.lower, source.upper, name, below)
            self._budget.spend(below.st_size)
            self._tree.borrowed.add(source.below(name))
            found = entries.lstat(source.upper, name)
        return None if found is None or entries.is_whiteout(found) or entries.is_directory(found) else found
