"""Walking to a directory of a layer that is being unpacked, as the finished image would show it.

A layer's archive names paths of the whole tree, but holds only what changed. With *upper* the layer's own new
directory and *lower* the finished layers below it (or nothing), a path is looked up in both, one name at a time:
links are followed inside the tree, ``..`` ends at its root, and a directory that exists below only is made above with
its owner, mode, xattrs and time, as the kernel's overlay would on a change. No call here takes a path of more than one
name or follows a link, so nothing outside can be reached whatever the archive says.
"""

from __future__ import annotations

import os
import stat

from reconciler.drivers.graph import entries, trees
from reconciler.drivers.graph.entries import shown

#: in the place of a descriptor: whether there is anything below is not known yet
UNKNOWN = -2
MAX_LINKS = 40


class Refused(Exception):
    """the archive asks for something that no layer may have"""


class Needed(Exception):
    """the layers below are needed, and are not there yet"""


class Directory:
    """An open directory of the tree: ``upper``, and ``lower`` (-1 where nothing of the layers below shows)."""

    __slots__ = ("lower", "name", "path", "upper")

    def __init__(self, name: bytes, path: bytes, upper: int, lower: int) -> None:
        self.name, self.path, self.upper, self.lower = name, path, upper, lower

    def below(self, name: bytes) -> bytes:
        """The path of ``name`` in it, without a leading slash."""
        return self.path + b"/" + name if self.path else name

    def in_lower(self, name: bytes) -> os.stat_result | None:
        self.know_lower()
        return entries.lstat(self.lower, name) if self.lower >= 0 else None

    def know_lower(self) -> None:
        """Raises ``Needed`` if it is not known what is below."""
        if self.lower == UNKNOWN:
            raise Needed

    def hide_lower(self) -> None:
        if self.lower >= 0:
            os.close(self.lower)
            self.lower = -1

    def close(self) -> None:
        self.hide_lower()
        os.close(self.upper)


class Tree:
    """Keeps the directories down to the last one asked for open: archives list neighbours together.

    ``times`` (path → mtime in ns) is what each directory touched must have in the end; ``opaque`` the paths of those
    that hide the directory of the same name in the layers below. Both may name directories that were replaced since.

    ``borrowed``: paths of what stands in *upper* although the layer does not bring it: directories that a path led
    through, and files of the layers below that a hard link led to. What the layer brings is never below a borrowed
    path: ``claim``.

    With *lower* ``UNKNOWN`` what depends on the layers below raises ``Needed``, but for directories that the archive
    only implies: they are made as if nothing were below, and are in ``implied`` (path → whether the archive has told no
    more of it). ``unnamed`` counts the directories that were made on the way to something.
    """

    def __init__(self, upper: int, lower: int) -> None:
        self._stack = [Directory(b"", b"", upper, lower)]
        self.times: dict[bytes, int] = {}
        self.opaque: set[bytes] = set()
        self.borrowed: set[bytes] = set()
        self.implied: dict[bytes, bool] = {}
        self.unnamed = 0

    @property
    def top(self) -> Directory:
        return self._stack[-1]

    def close(self) -> None:
        """Closes every directory, the two that the tree was made of too."""
        self._rise(0)
        self.top.close()

    def claim(self, path: bytes) -> None:
        """The layer brings ``path``, and so the directories down to it."""
        self.borrowed.discard(path)
        while (path := path.rpartition(b"/")[0]) in self.borrowed:
            self.borrowed.remove(path)

    def tell(self, path: bytes) -> None:
        """The archive names the directory ``path``. Raises ``Needed`` if it has implied others in it before: what those
        inherited is told by what it is like below."""
        prefix = path + b"/" if path else b""
        bare = self.implied.get(path, False) if path else self.top.lower == UNKNOWN
        if bare and any(each.startswith(prefix) and each != path for each in self.implied):
            raise Needed
        if path in self.implied:
            self.implied[path] = False

    def walk(self, path: bytes, *, make: bool) -> Directory | None:
        """The directory ``path``; with ``make`` what is missing, or no directory, becomes one, else None is returned.
        Valid until the next walk."""
        todo = self._onto(_names(path))
        links = 0
        while todo:
            name = todo.pop(0)
            if name == b"..":
                self._rise(len(self._stack) - 2)
                continue
            target = self._step(name, make=make)
            if target is None:
                continue
            if not target:
                return None
            links += 1
            if links > MAX_LINKS:
                raise Refused(f"{shown(path)} leads through more than {MAX_LINKS} links")
            if target.startswith(b"/"):
                self._rise(0)
            todo = _names(target) + todo
        return self.top

    def reopen(self, path: bytes) -> Directory | None:
        """The directory ``path`` in the upper tree alone, through no link; None if it is none (any more)."""
        for name in self._onto(_names(path)):
            descriptor = entries.open_directory(self.top.upper, name)
            if descriptor < 0:
                return None
            self._stack.append(Directory(name, self.top.below(name), descriptor, -1))
        return self.top

    def _onto(self, names: list[bytes]) -> list[bytes]:
        """Rises to where ``names`` part from the open directories; returns those left to walk."""
        common = 0
        while common < min(len(names), len(self._stack) - 1) and self._stack[common + 1].name == names[common]:
            common += 1
        self._rise(common)
        return names[common:]

    def _rise(self, depth: int) -> None:
        """Back up to ``depth`` names below the root."""
        while len(self._stack) > max(depth, 0) + 1:
            self._stack.pop().close()

    def _step(self, name: bytes, *, make: bool) -> bytes | None:
        """Goes one name down and returns None; or stays and returns a link's target, or ``b""`` where no directory
        is."""
        here = self.top
        found = entries.lstat(here.upper, name)
        if found is None:
            return self._step_lower(name, make=make)
        if stat.S_ISLNK(found.st_mode):
            return os.fsencode(os.readlink(name, dir_fd=here.upper))
        if stat.S_ISDIR(found.st_mode):
            self._push(name, found.st_mtime_ns)
        elif make:
            self._step_new(name, replaced=True)
        else:
            return b""
        return None

    def _step_lower(self, name: bytes, *, make: bool) -> bytes | None:
        here = self.top
        if make and here.lower == UNKNOWN:
            self._step_new(name, replaced=False)
            self.implied[self.top.path] = True
            return None
        found = here.in_lower(name)
        if found is not None and stat.S_ISLNK(found.st_mode):
            return os.fsencode(os.readlink(name, dir_fd=here.lower))
        if found is not None and stat.S_ISDIR(found.st_mode):
            os.mkdir(name, 0o700, dir_fd=here.upper)
            self.unnamed += 1
            self.borrowed.add(here.below(name))
            self._push(name, found.st_mtime_ns)
            trees.metadata(self.top.lower, self.top.upper, found)
        elif make:
            self._step_new(name, replaced=False)
        else:
            return b""
        return None

    def _step_new(self, name: bytes, *, replaced: bool) -> None:
        if replaced:
            os.unlink(name, dir_fd=self.top.upper)
        self.make(name, replaced=replaced)
        self.borrowed.add(self.top.below(name))
        above = os.fstat(self.top.upper)
        self._push(name, 0)
        dress_implied(self.top.upper, above)
        self.unnamed += 1

    def make(self, name: bytes, *, replaced: bool) -> None:
        """A new directory in the top one, where the upper tree has nothing (any more). What was ``replaced`` had hidden
        the layers below, so the directory must too."""
        here = self.top
        os.mkdir(name, 0o700, dir_fd=here.upper)
        self.times[here.below(name)] = 0
        if replaced and entries.is_directory(here.in_lower(name)):
            self.opaque.add(here.below(name))

    def _push(self, name: bytes, mtime: int) -> None:
        here = self.top
        if len(self._stack) > entries.MAX_DEPTH:
            raise Refused(f"{shown(here.path)} is more than {entries.MAX_DEPTH} directories deep")
        path = here.below(name)
        upper = os.open(name, entries.DIRECTORY, dir_fd=here.upper)
        lower = min(here.lower, -1)
        if here.lower >= 0:
            lower = entries.open_directory(here.lower, name) if path not in self.opaque else -1
        self._stack.append(Directory(name, path, upper, lower))
        self.times.setdefault(path, mtime)


def dress_implied(directory: int, above: os.stat_result) -> None:
    """Owner and mode of an open directory that no archive tells of: root's, but that mkdir(2) hands the group of a
    set-group-ID directory ``above`` on, with the bit. So it is where tools make such directories and leave them."""
    inherited = above.st_mode & stat.S_ISGID
    os.fchown(directory, 0, above.st_gid if inherited else 0)
    os.fchmod(directory, 0o755 | inherited)


def clean(path: bytes) -> bytes:
    """A member's name as a path below the root: without empty parts and dots, ``..`` taken back and ending at the
    root."""
    names: list[bytes] = []
    for name in _names(path):
        if name != b"..":
            names.append(name)
        elif names:
            names.pop()
    return b"/".join(names)


def _names(path: bytes) -> list[bytes]:
    return [name for name in path.split(b"/") if name and name != b"."]
