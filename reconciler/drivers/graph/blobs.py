"""Blobs: files named by the digest of their bytes, below ``blobs/ALGORITHM/``.

A blob is written aside, its digest computed on the way; ``commit`` compares, syncs the data, renames and syncs
the directory, in this order: a name that is there after a power cut has all its bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from typing import BinaryIO

from reconciler import errors, failpoints
from reconciler.drivers.graph import files
from reconciler.model import references

#: the size of a blob that nobody announced
_FREE = -1
_PIECE = 1 << 20


class FileWriter:
    """A ``base.BlobWriter`` on a file of its own. ``digest`` empty: what comes out names it. ``place`` tells the path
    for a digest; ``verified`` keeps where those are that have been verified and are not yet in their place."""

    def __init__(
        self, digest: str, size: int, aside: str, place: Callable[[str], str], verified: dict[str, str]
    ) -> None:
        self._digest, self._size, self._aside, self._place = digest, size, aside, place
        self._verified = verified
        self._hash = hashlib.new(digest.partition(":")[0] or "sha256")
        self._fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._offset = 0

    @property
    def offset(self) -> int:
        return self._offset

    def write(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        if self._size != _FREE and self._offset + len(view) > self._size:
            self.abort()
            raise errors.Permanent(f"{self._digest} is longer than the {self._size} bytes that were announced")
        self._hash.update(view)
        while view:
            try:
                written = os.write(self._fd, view)
            except OSError as error:
                self.abort()
                raise errors.Temporary(f"writing {self._digest}: {error.strerror}", delay=30) from error
            self._offset += written
            view = view[written:]

    def commit(self) -> str:
        found = self.verify()
        try:
            path = self._place(found)
            os.fdatasync(self._fd)
            failpoints.hit("graph.blob.data.after")
            os.rename(self._aside, path)
            failpoints.hit("graph.blob.name.after")
        except OSError as error:
            raise errors.Temporary(f"storing {self._digest}: {error.strerror}", delay=30) from error
        finally:
            self.abort()
        files.sync_directory(os.path.dirname(path))
        return found

    def verify(self) -> str:
        found = f"{self._hash.name}:{self._hash.hexdigest()}"
        problem = ""
        if self._size not in (_FREE, self._offset):
            problem = f"{self._digest} has {self._offset} bytes where {self._size} were announced"
        elif self._digest not in ("", found):
            problem = f"the content does not match its digest: expected {self._digest}, found {found}"
        if problem:
            self.abort()
            raise errors.Permanent(problem)
        self._verified[found] = self._aside
        return found

    def abort(self) -> None:
        for digest in [digest for digest, path in list(self._verified.items()) if path == self._aside]:
            del self._verified[digest]
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        files.discard(self._aside)


class Blobs:
    """The directory of blobs. ``temporaries`` is in the same file system."""

    def __init__(self, root: str, temporaries: str) -> None:
        self._root, self._temporaries = root, temporaries
        self._verified: dict[str, str] = {}
        for algorithm in ("sha256", "sha512"):
            os.makedirs(os.path.join(root, algorithm), mode=0o700, exist_ok=True)

    def path(self, digest: str) -> str:
        """Where the blob is or would be. Raises ``errors.Invalid`` for a malformed digest."""
        algorithm, _, value = references.check_digest(digest).partition(":")
        return os.path.join(self._root, algorithm, value)

    def has(self, digest: str) -> bool:
        return os.path.exists(self.path(digest))

    def open(self, digest: str) -> BinaryIO:
        try:
            return open(self.path(digest), "rb", buffering=0)
        except FileNotFoundError:
            raise errors.NotFound(f"blob {digest} is not in the store") from None

    def open_verified(self, digest: str) -> BinaryIO:
        """Also of one that is not in its place yet. Raises ``NotFound``."""
        aside = self._verified.get(digest, "")
        with contextlib.suppress(errors.NotFound):
            return self.open(digest)
        if aside:
            with contextlib.suppress(FileNotFoundError):
                return open(aside, "rb", buffering=0)
        return self.open(digest)  # it has come to its place meanwhile, or there is none

    def read(self, digest: str, limit: int) -> bytes:
        with self.open(digest) as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise errors.Permanent(f"blob {digest} is larger than the {limit} bytes allowed here")
        return data

    def size(self, digest: str) -> int:
        try:
            return os.stat(self.path(digest)).st_size
        except FileNotFoundError:
            raise errors.NotFound(f"blob {digest} is not in the store") from None

    def write(self, digest: str, size: int) -> FileWriter:
        self.path(digest)
        return FileWriter(digest, size, files.temporary(self._temporaries, "blob"), self.path, self._verified)

    def write_new(self, size: int) -> FileWriter:
        return FileWriter("", size, files.temporary(self._temporaries, "blob"), self.path, self._verified)

    def check(self, digest: str) -> str:
        """What is wrong with a blob, in words; empty if it is what its name says."""
        content = hashlib.new(digest.partition(":")[0])
        try:
            with self.open(digest) as file:
                while piece := file.read(_PIECE):
                    content.update(piece)
        except errors.NotFound:
            return "it is missing"
        except OSError as error:
            return f"it cannot be read: {(error.strerror or str(error)).lower()}"
        found = f"{content.name}:{content.hexdigest()}"
        return "" if found == digest else f"its content is {found}"

    def remove(self, digest: str) -> None:
        files.discard(self.path(digest))

    def all(self) -> tuple[str, ...]:
        found = []
        for algorithm in ("sha256", "sha512"):
            found += [f"{algorithm}:{name}" for name in sorted(os.listdir(os.path.join(self._root, algorithm)))]
        return tuple(found)
