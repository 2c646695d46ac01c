"""What layers do to one another, in memory: names, their kinds and where links lead.

It only shapes random layers: it tells what of them no tool takes, and what an older umoci must be told. Whether it is
right is seen where real tools unpack the layers.
"""

from __future__ import annotations

from typing import NamedTuple

from reconciler.testing import graph_tars as tars

DIRECTORY, LINK, OTHER = "directory", "link", "other"
_MOST_LINKS = 40


class Impossible(Exception):
    """a tool would refuse the member, or it leads out of the tree"""


class Node(NamedTuple):
    """``setgid``: a directory hands its group on to those that are made in it."""

    kind: str
    link: bytes = b""
    setgid: bool = False


_NOTHING = Node("")


class Model:
    """``nodes``: path → what is there. ``walled``: nothing may lead out of the root by ``..``."""

    def __init__(self, *, walled: bool) -> None:
        self.nodes: dict[bytes, Node] = {}
        self._root = Node(DIRECTORY)
        self._own: set[bytes] = set()
        self._walled = walled

    def begin_layer(self) -> None:
        self._own = set()

    def add(self, member: tars.Member) -> list[tars.Member]:
        """Adds a member. Returns the directories that come in the place of something else on the way to it. Raises
        ``Impossible``, and is unchanged then."""
        above, _, name = _clean(member.name).rpartition(b"/")
        if name.startswith(b".wh."):
            self._take_away(self._resolved(above), name)
            return []
        setgid = bool(member.mode & 0o2000)
        if not name:
            self._root = Node(DIRECTORY, setgid=setgid)
            return []
        target = self._linked(member) if member.kind == b"1" else b""
        directory = self._resolved(above)
        path = directory + b"/" + name if directory else name
        if target and (target == path or _inside(path, target) or self._without(path)._linked(member) != target):
            raise Impossible
        replaced = self._make_way(directory)
        kind = {b"5": DIRECTORY, b"2": LINK}.get(member.kind, OTHER)
        if kind != DIRECTORY or self._kind(path) != DIRECTORY:
            self._remove(path)
        self.nodes[path] = self.nodes[target] if target else Node(kind, member.link, setgid)
        self._bring(path)
        return [tars.directory(each, 0o2755 if self.nodes[each].setgid else 0o755, mtime=0) for each in replaced]

    def _without(self, path: bytes) -> Model:
        """The same after ``path`` was removed, as it is before a link takes its place."""
        found = Model(walled=self._walled)
        found.nodes = dict(self.nodes)
        found._remove(path)
        return found

    def _linked(self, member: tars.Member) -> bytes:
        above, _, name = _clean(member.link).rpartition(b"/")
        directory = self._resolved(above)
        path = directory + b"/" + name if directory else name
        if self._kind(path) not in (LINK, OTHER):
            raise Impossible
        return path

    def _kind(self, path: bytes) -> str:
        return self.nodes.get(path, _NOTHING).kind if path else DIRECTORY

    def _resolved(self, path: bytes) -> bytes:
        """Where a directory's path leads, whether there is something or not."""
        todo, here, links = path.split(b"/"), b"", 0
        while todo:
            name = todo.pop(0)
            if name in (b"", b"."):
                continue
            if name == b"..":
                if not here and self._walled:
                    raise Impossible
                here = here.rpartition(b"/")[0]
                continue
            below = here + b"/" + name if here else name
            kind, link, _ = self.nodes.get(below, _NOTHING)
            if kind != LINK:
                here = below
                continue
            links += 1
            if links > _MOST_LINKS:
                raise Impossible
            here = b"" if link.startswith(b"/") else here
            todo = link.split(b"/") + todo
        return here

    def _make_way(self, directory: bytes) -> list[bytes]:
        """Makes the directories down to one; returns those in whose place there was something else."""
        replaced, path, above = [], b"", self._root
        for name in directory.split(b"/") if directory else ():
            path = path + b"/" + name if path else name
            if self._kind(path) == OTHER:
                replaced.append(path)
            if self._kind(path) != DIRECTORY:
                self.nodes[path] = Node(DIRECTORY, setgid=above.setgid)
            above = self.nodes[path]
        return replaced

    def _bring(self, path: bytes) -> None:
        while path:
            self._own.add(path)
            path = path.rpartition(b"/")[0]

    def _remove(self, path: bytes) -> None:
        for each in [each for each in self.nodes if each == path or _inside(each, path)]:
            del self.nodes[each]

    def _take_away(self, directory: bytes, name: bytes) -> None:
        if self._kind(directory) != DIRECTORY:
            return
        prefix = directory + b"/" if directory else b""
        top = directory if name == b".wh..wh..opq" else prefix + name[4:]
        for each in list(self.nodes):
            inside = _inside(each, top) or (each == top and name != b".wh..wh..opq")
            if inside and each not in self._own:
                del self.nodes[each]


def _inside(path: bytes, directory: bytes) -> bool:
    return path.startswith(directory + b"/") if directory else True


def _clean(path: bytes) -> bytes:
    return b"/".join(name for name in path.split(b"/") if name not in (b"", b"."))
