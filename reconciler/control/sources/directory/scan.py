"""Reads a directory of manifests without being led out of it, and without blocking on anything that is not a file.

A path is first opened with O_PATH, which has no effect on a FIFO or a device, and examined. Only a regular file inside
the directory is then opened for reading, through that same descriptor.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from reconciler.control.sources.directory import writers
from reconciler.control.sources.ledger import facts
from reconciler.manifest import text

SUFFIXES = (".yaml", ".yml", ".json")
#: levels of directories; deeper ones are reported and not entered
MAX_DEPTH = 32
_NO_FILE = "not a regular file: not read"
_OPEN = os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


class Signature(NamedTuple):
    """What changes when a file does."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


class Scanner:
    """Looks at the directory ``path``, which may be a symbolic link."""

    def __init__(self, path: str, boot_id: str) -> None:
        self.path, self._boot_id = path, boot_id

    def scan(self) -> facts.Scan:
        """Never raises for what the directory holds."""
        try:
            real = os.path.realpath(self.path, strict=True)
            found = os.stat(real)
            if not stat.S_ISDIR(found.st_mode):
                return facts.Scan(None, f"{self.path} is not a directory")
            root = facts.Root(found.st_dev, found.st_ino, _mount_id(real), os.statvfs(real).f_fsid, self._boot_id)
            walk = _Walk(real, found)
            walk.run()
        except OSError as error:
            return facts.Scan(None, _missing(self.path, error))
        if "" in walk.unreadable:
            return facts.Scan(None, f"{self.path}: {walk.unreadable['']}")
        return facts.Scan(root, "", walk.files, walk.unreadable, walk.mounts, tuple(walk.folders))

    def read(self, path: str, expected: facts.Signature) -> facts.Content:
        """The content of a file as it was when it had that signature, unless it is open for writing. Raises ``OSError``
        if it cannot be read."""
        root = os.path.realpath(self.path)
        with _opened(os.path.join(root, path)) as file:
            if _refusal(root, file.real, file.stat) or _signature(file.stat) != expected:
                return facts.Content(None)
            data, busy = file.content()
            # who has written since we began to read has changed the times too
            same = _signature(os.fstat(file.fd)) == expected
            return facts.Content(data if same and not busy else None, busy)

    def is_busy(self, path: str) -> bool:
        """Whether a file that was found to be open for writing still is."""
        root = os.path.realpath(self.path)
        try:
            with _opened(os.path.join(root, path)) as file:
                return not _refusal(root, file.real, file.stat) and file.busy()
        except OSError:
            return False

    def identity(self, path: str) -> writers.Identity | None:
        """Device and inode of a file; None if there is none."""
        try:
            found = os.stat(os.path.join(self.path, path))
        except OSError:
            return None
        return found.st_dev, found.st_ino


class _Walk:
    """One walk through the tree: real directories first, then links to directories that no other path reaches."""

    def __init__(self, root: str, found: os.stat_result) -> None:
        self._root, self._device = root, found.st_dev
        self._entered = {(found.st_dev, found.st_ino)}
        self._links: list[str] = []
        self.files: dict[str, facts.Seen] = {}
        self.unreadable: dict[str, str] = {}
        self.mounts: dict[str, int] = {}
        self.folders: list[str] = []

    def run(self) -> None:
        waiting = [""]
        while waiting or self._links:
            if waiting:
                waiting += self._enter(waiting.pop())
                continue
            self._links.sort(reverse=True)
            link = self._links.pop()
            waiting += [link] if self._is_new(link) else []
        self.files = dict(sorted(self.files.items()))

    def _enter(self, folder: str) -> list[str]:
        """Notes the files of ``folder``; returns its directories."""
        path = os.path.join(self._root, folder) if folder else self._root
        self.folders.append(path)
        below = []
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    if not entry.name.startswith("."):
                        below += self._note(entry, f"{folder}/{entry.name}" if folder else entry.name)
        except OSError as error:
            self.unreadable[folder] = _reason(error)
        return below

    def _note(self, entry: os.DirEntry[str], path: str) -> list[str]:
        is_file = entry.name.endswith(SUFFIXES)
        try:
            if not entry.name.isprintable():
                if is_file or entry.is_dir():
                    self.unreadable[_shown(path)] = "the name has characters that cannot be shown: rename it"
            elif entry.is_dir(follow_symlinks=False):
                return self._folder(entry, path)
            elif entry.is_symlink() and entry.is_dir():
                self._links.append(path)
            elif is_file:
                self.files[path] = self._file(entry)
        except OSError as error:
            if is_file:
                self.files[path] = facts.Seen(None, _reason(error))
        return []

    def _folder(self, entry: os.DirEntry[str], path: str) -> list[str]:
        found = entry.stat(follow_symlinks=False)
        self._entered.add((found.st_dev, found.st_ino))
        if found.st_dev != self._device:
            self.mounts[path] = found.st_dev
        if path.count("/") >= MAX_DEPTH:
            self.unreadable[path] = f"more than {MAX_DEPTH} directories deep"
            return []
        return [path]

    def _is_new(self, link: str) -> bool:
        """Whether a link leads to a directory inside the root that has not been entered yet."""
        path = os.path.join(self._root, link)
        try:
            real, found = os.path.realpath(path, strict=True), os.stat(path)
        except OSError as error:
            self.unreadable[link] = _reason(error)
            return False
        if not _inside(self._root, real):
            self.unreadable[link] = "a link out of the directory: not followed"
            return False
        new = (found.st_dev, found.st_ino) not in self._entered
        self._entered.add((found.st_dev, found.st_ino))
        return new

    def _file(self, entry: os.DirEntry[str]) -> facts.Seen:
        found = entry.stat()
        if not entry.is_symlink():
            return _seen(found, "" if stat.S_ISREG(found.st_mode) else _NO_FILE)
        return _seen(found, _refusal(self._root, os.path.realpath(entry.path), found))


class _opened:
    """A path that is opened without any effect on what it names."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            self.stat = os.fstat(self.fd)
            self.real = os.readlink(f"/proc/self/fd/{self.fd}")
        except OSError:
            os.close(self.fd)
            raise

    def __enter__(self) -> _opened:
        return self

    def __exit__(self, *exc: object) -> None:
        os.close(self.fd)

    def content(self) -> tuple[bytes, bool]:
        """At most one byte more than a manifest may have, which is enough to refuse it; and whether the file is open
        for writing."""
        try:
            fd = self._reading()
        except BlockingIOError:
            return b"", True
        try:
            data = b"".join(_chunks(fd, text.MAX_BYTES + 1))
            return data, self._is_written(fd)
        finally:
            os.close(fd)

    def busy(self) -> bool:
        """Whether the file is open for writing."""
        try:
            fd = self._reading()
        except BlockingIOError:
            return True
        try:
            return self._is_written(fd)
        finally:
            os.close(fd)

    def _reading(self) -> int:
        """Raises ``BlockingIOError`` where a writer of another kind, such as a file server, has a lease on it."""
        return os.open(f"/proc/self/fd/{self.fd}", os.O_RDONLY | _OPEN)

    def _is_written(self, fd: int) -> bool:
        return writers.is_open_for_writing(fd, os.path.basename(self.real))


def _chunks(fd: int, limit: int) -> Iterator[bytes]:
    while limit > 0:
        chunk = os.read(fd, min(limit, 1 << 18))
        if not chunk:
            return
        limit -= len(chunk)
        yield chunk


def _refusal(root: str, real: str, found: os.stat_result) -> str:
    if not _inside(root, real):
        return "a link out of the directory: not read"
    return "" if stat.S_ISREG(found.st_mode) else _NO_FILE


def _inside(root: str, real: str) -> bool:
    return real.startswith(root.rstrip("/") + "/")


def _seen(found: os.stat_result, trouble: str) -> facts.Seen:
    return facts.Seen(_signature(found), trouble, found.st_ctime_ns / 1e9, (found.st_mtime_ns, found.st_ctime_ns))


def _signature(found: os.stat_result) -> Signature:
    return Signature(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _mount_id(path: str) -> int:
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as info:
            return next((int(line.split()[1]) for line in info if line.startswith("mnt_id:")), 0)
    finally:
        os.close(fd)


def _missing(path: str, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"there is no directory {path}: make it with 'mkdir -p {path}'"
    return f"{path}: {_reason(error)}"


def _shown(path: str) -> str:
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in path)


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
