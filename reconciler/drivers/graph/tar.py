"""Tar archives as image layers hold them, read from a stream: ustar, GNU and PAX headers, sparse files.

Names and values are bytes and stay what they are: PAX names need not be UTF-8, xattrs need not be text.
Sources: POSIX.1-2017 pax, the manual of GNU tar ("Basic Tar Format", "Storing Sparse Files"). Damaged or malicious
input raises ``Malformed``; nothing here touches the file system.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from reconciler.drivers.graph import tar_fields, tar_sparse
from reconciler.drivers.graph.entries import shown
from reconciler.drivers.graph.tar_fields import XATTR

BLOCK = tar_sparse.BLOCK
Malformed = tar_fields.Malformed
#: a PAX header or long name; Go's archive/tar has the same limit
MAX_HEADER = 1 << 20

FILE, LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
_KINDS = frozenset((FILE, LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO))
#: types of header that stand for a regular file: old Unix, contiguous, sparse
_REGULAR = frozenset((b"\0", b"7", b"S"))
_ZERO = bytes(BLOCK)


class Source(Protocol):
    """The archive's bytes in order."""

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes, fewer only at the end."""

    def pieces(self, count: int) -> Iterator[memoryview]:
        """The same in pieces, each valid until the next is asked for."""


class Entry:
    """One member. ``size`` is the file's own size; ``segments`` (offset, length) say where the archive's data goes if
    it has holes, None if it is whole. Times are nanoseconds since the epoch; ``xattrs`` are as the header has them."""

    __slots__ = (
        "device",
        "gid",
        "kind",
        "link",
        "mode",
        "mtime",
        "name",
        "segments",
        "size",
        "stored",
        "uid",
        "xattrs",
    )

    kind: bytes
    name: bytes
    link: bytes
    mode: int
    uid: int
    gid: int
    size: int
    stored: int
    mtime: int
    device: tuple[int, int]
    xattrs: dict[bytes, bytes]
    segments: list[tuple[int, int]] | None


class Reader:
    """Iterates over the members; ``data`` gives the bytes of the one that came last."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._left = 0
        self._padding = 0
        self._global: dict[bytes, bytes] = {}

    def __iter__(self) -> Iterator[Entry]:
        records: dict[bytes, bytes] = {}
        sparse: list[bytes] = []
        while (header := self._header()) is not None:
            kind = header[156:157]
            if kind == b"x":
                records, sparse = tar_fields.records(self._special(header), records)
            elif kind == b"g":
                self._global, _ = tar_fields.records(self._special(header), self._global)
            elif kind == b"L":
                records.setdefault(b"path", self._special(header).partition(b"\0")[0])
            elif kind == b"K":
                records.setdefault(b"linkpath", self._special(header).partition(b"\0")[0])
            elif kind == b"V":
                self._skip_to(max(0, tar_fields.number(header, 124, 136)))
            else:
                yield self._entry(header, {**self._global, **records} if self._global else records, sparse)
                records, sparse = {}, []

    def data(self) -> Iterator[memoryview]:
        """The stored bytes of the last member."""
        left, self._left = self._left, 0
        for piece in self._source.pieces(left):
            left -= len(piece)
            yield piece
        if left:
            raise Malformed("the archive ends in the middle of a file")

    def _header(self) -> bytes | None:
        """The next header block; None at the end (two blocks of zeros, or where the bytes end)."""
        self._finish()
        block = self._source.take(BLOCK)
        if block == _ZERO or not block:
            return None
        if len(block) < BLOCK:
            raise Malformed("the archive ends in the middle of a header")
        stated = block[148:156].strip(b" \0")
        if not stated.isdigit() or sum(block) - sum(block[148:156]) + 256 != tar_fields.number(block, 148, 156):
            raise Malformed("a header's checksum is wrong: this is no tar archive, or it is damaged")
        return block

    def _finish(self) -> None:
        """Skips what was not read of the last member, and its padding."""
        for _ in self.data():
            continue
        if self._padding:
            self._source.take(self._padding)
            self._padding = 0

    def _skip_to(self, stored: int) -> None:
        self._left, self._padding = stored, -stored % BLOCK

    def _special(self, header: bytes) -> bytes:
        """The content of a header that is itself a member."""
        size = tar_fields.number(header, 124, 136)
        if not 0 <= size <= MAX_HEADER:
            raise Malformed(f"a header of {size} bytes: expected 0 to {MAX_HEADER}")
        data = self._source.take(size + -size % BLOCK)
        if len(data) < size:
            raise Malformed("the archive ends in the middle of a header")
        return data[:size]

    def _entry(self, header: bytes, records: dict[bytes, bytes], sparse: list[bytes]) -> Entry:
        entry = Entry()
        kind = header[156:157]
        entry.kind = FILE if kind in _REGULAR else kind
        entry.name = records.get(b"path") or tar_fields.ustar_name(header)
        if entry.kind not in _KINDS:
            raise Malformed(f"{shown(entry.name)} has the unknown type {kind!r}")
        entry.link = records.get(b"linkpath") or tar_fields.text(header, 157, 257)
        entry.mode = tar_fields.number(header, 100, 108) & 0o7777
        entry.uid = tar_fields.owner(records.get(b"uid"), header, 108, 116)
        entry.gid = tar_fields.owner(records.get(b"gid"), header, 116, 124)
        entry.mtime = tar_fields.time(records.get(b"mtime"), header)
        if kind in (CHARACTER, BLOCK_DEVICE):
            entry.device = tar_fields.number(header, 329, 337), tar_fields.number(header, 337, 345)
        else:
            entry.device = 0, 0
        entry.xattrs = (
            {key[len(XATTR) :]: value for key, value in records.items() if key.startswith(XATTR)} if records else {}
        )
        entry.segments = None
        self._sized(entry, header, records, sparse)
        if entry.kind == FILE and kind != b"S" and entry.name.endswith(b"/"):
            entry.kind = DIRECTORY
        if b"\0" in entry.name or b"\0" in entry.link:
            raise Malformed(f"{shown(entry.name)} has a NUL in its name")
        return entry

    def _sized(self, entry: Entry, header: bytes, records: dict[bytes, bytes], sparse: list[bytes]) -> None:
        stored = tar_fields.decimal(records[b"size"]) if records.get(b"size") else tar_fields.number(header, 124, 136)
        if stored < 0:
            raise Malformed(f"{shown(entry.name)} has a negative size")
        entry.stored = entry.size = stored if entry.kind == FILE else 0
        self._skip_to(entry.stored)
        if header[156:157] == b"S":
            entry.size = tar_fields.number(header, 483, 495)
            entry.segments = tar_sparse.old_map(entry.name, header, self._source.take)
        elif any(key.startswith(b"GNU.sparse.") for key in records):
            self._pax_sparse(entry, records, sparse)
        if entry.segments is not None:
            tar_sparse.check(entry.name, entry.segments, entry.size, entry.stored)

    def _pax_sparse(self, entry: Entry, records: dict[bytes, bytes], sparse: list[bytes]) -> None:
        """The forms 0.0, 0.1 (map in the header) and 1.0 (map in front of the data)."""
        entry.name = records.get(b"GNU.sparse.name") or entry.name
        real = records.get(b"GNU.sparse.realsize") or records.get(b"GNU.sparse.size")
        if real is None:
            raise Malformed(f"the sparse file {shown(entry.name)} has no size")
        entry.size = tar_fields.decimal(real)
        if records.get(b"GNU.sparse.major") == b"1":
            entry.segments, self._left = tar_sparse.map_in_data(entry.name, self._left, self._source.take)
            entry.stored = self._left
            return
        listed = records[b"GNU.sparse.map"].split(b",") if records.get(b"GNU.sparse.map") else sparse
        entry.segments = tar_sparse.map_in_header(entry.name, listed)
