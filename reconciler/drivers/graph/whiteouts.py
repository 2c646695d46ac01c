"""What a layer takes away of the layers below it.

Whiteouts (OCI image spec, "Layer Filesystem Changeset"): ``.wh.NAME`` takes NAME of the layers below away,
``.wh..wh..opq`` all that the layers below have in its directory; neither touches what the same layer brings, whichever
comes first in the archive. There are two forms of the outcome, a class each.
"""

from __future__ import annotations

import os
import stat
from typing import Protocol

from reconciler.drivers.graph import entries, trees
from reconciler.drivers.graph.layer_tree import Directory, Refused, Tree

_WHITEOUT = b".wh."
_OPAQUE = b".wh..wh..opq"
#: other names that aufs kept for itself
_AUFS = b".wh..wh."


class Form(Protocol):
    """How a tree shows that something of the layers below is gone."""

    def brings(self, path: bytes) -> None:
        """Notes what this layer brings: its own whiteouts spare it, and the directories down to it."""

    def hide(self, directory: Directory, name: bytes) -> None:
        """Takes ``name`` of the layers below away."""

    def hide_all(self, directory: Directory) -> None:
        """Takes away all that the layers below have in ``directory``."""


class Marked:
    """The tree holds the layer alone. What is gone is told by overlay's marks: a device 0:0 in the place of a name, and
    opaque directories, which are only noted, as their xattr takes CAP_SYS_ADMIN. Overlay would list the names of
    whiteouts in an opaque directory, so none may stay there, nor what is borrowed from below."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def brings(self, path: bytes) -> None:
        self._tree.claim(path)

    def hide(self, directory: Directory, name: bytes) -> None:
        below = directory.in_lower(name)
        if not self._spared(directory.upper, directory.below(name), name):
            if below is not None:
                os.mknod(name, stat.S_IFCHR, 0, dir_fd=directory.upper)
                os.chown(name, 0, 0, dir_fd=directory.upper, follow_symlinks=False)
        elif entries.is_directory(below):
            self._tree.opaque.add(directory.below(name))

    def hide_all(self, directory: Directory) -> None:
        directory.know_lower()
        if directory.lower < 0:
            return
        if not directory.path:
            # overlay merges the roots of all layers, whatever their marks: name by name
            for child in os.listdir(directory.lower):
                self.hide(directory, os.fsencode(child))
            return
        self._tree.opaque.add(directory.path)
        directory.hide_lower()
        self._bare(directory.upper, directory.path)

    def _spared(self, directory: int, path: bytes, name: bytes) -> bool:
        """Whether the layer brings ``name``; what it does not bring is removed, or is removed from in it."""
        found = entries.lstat(directory, name)
        if found is None or entries.is_whiteout(found) or path in self._tree.borrowed:
            trees.remove(directory, name)
            return False
        if stat.S_ISDIR(found.st_mode):
            below = os.open(name, entries.DIRECTORY, dir_fd=directory)
            try:
                self._bare(below, path)
            finally:
                os.close(below)
        return True

    def _bare(self, directory: int, path: bytes) -> None:
        """Leaves in a directory only what the layer brings."""
        for text in os.listdir(directory):
            name = os.fsencode(text)
            self._spared(directory, path + b"/" + name if path else name, name)


class Applied:
    """The tree was a copy of the layers below: what is gone is removed from it."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._own: set[bytes] = set()

    def brings(self, path: bytes) -> None:
        self._tree.claim(path)
        while path and path not in self._own:
            self._own.add(path)
            path = path.rpartition(b"/")[0]

    def hide(self, directory: Directory, name: bytes) -> None:
        self._strip(directory.upper, directory.below(name), name)

    def hide_all(self, directory: Directory) -> None:
        self._prune(directory.upper, directory.path)

    def _strip(self, directory: int, path: bytes, name: bytes) -> None:
        if path not in self._own:
            trees.remove(directory, name)
            return
        below = entries.open_directory(directory, name)
        if below >= 0:
            try:
                self._prune(below, path)
            finally:
                os.close(below)

    def _prune(self, directory: int, path: bytes) -> None:
        for text in os.listdir(directory):
            name = os.fsencode(text)
            self._strip(directory, path + b"/" + name if path else name, name)


class Lowest:
    """There are no layers below, so nothing of them goes."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def brings(self, path: bytes) -> None:
        self._tree.claim(path)

    def hide(self, directory: Directory, name: bytes) -> None: ...

    def hide_all(self, directory: Directory) -> None: ...


def form(tree: Tree, *, overlay: bool, lowest: bool) -> Form:
    """``overlay``: marks are wanted, and otherwise the tree is a copy of the layers below; ``lowest``: there are
    none."""
    if lowest:
        return Lowest(tree)
    return Marked(tree) if overlay else Applied(tree)


def is_whiteout(name: bytes) -> bool:
    """Whether the name of a member, without its directories, stands for a removal."""
    return name.startswith(_WHITEOUT)


def of(name: bytes) -> bytes:
    """The name of the whiteout for ``name``."""
    return _WHITEOUT + name


def apply(tree: Tree, form: Form, parent: bytes, name: bytes) -> None:
    """What the whiteout ``name`` in the directory ``parent`` stands for goes. Where no directory is there is nothing to
    take away. Raises ``Refused`` for one that names nothing."""
    if name != _OPAQUE and name.startswith(_AUFS):
        return
    gone = name[len(_WHITEOUT) :]
    if gone in (b"", b".", b".."):
        raise Refused(f"the whiteout {entries.shown(name)} names nothing")
    directory = tree.walk(parent, make=False)
    if directory is None:
        return
    directory.know_lower()
    if name == _OPAQUE:
        form.hide_all(directory)
    else:
        form.hide(directory, gone)
