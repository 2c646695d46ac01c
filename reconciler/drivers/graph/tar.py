"""Tar archives as image layers hold them, read from a stream: ustar, GNU and PAX headers, sparse files.

Names and values are bytes and stay what they are: PAX names need not be UTF-8, xattrs need not be text.
Sources: POSIX.1-2017 pax, the manual of GNU tar ("Basic Tar Format", "Storing Sparse Files"). Damaged or malicious
input raises ``Malformed``; nothing here touches the file system.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Protocol

BLOCK = 512
#: a PAX header or long name; Go's archive/tar has the same limit
MAX_HEADER = 1 << 20
MAX_SPARSE = 1 << 18

FILE, LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
_KINDS = frozenset((FILE, LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO))
#: types of header that stand for a regular file: old Unix, contiguous, sparse
_REGULAR = frozenset((b"\0", b"7", b"S"))
XATTR = b"SCHILY.xattr."
_DECIMAL = re.compile(rb"-?[0-9]{1,20}(\.[0-9]*)?")
_ZERO = bytes(BLOCK)


class Malformed(Exception):
    """the archive is damaged"""


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
                records, sparse = _records(self._special(header), records)
            elif kind == b"g":
                self._global, _ = _records(self._special(header), self._global)
            elif kind == b"L":
                records.setdefault(b"path", self._special(header).partition(b"\0")[0])
            elif kind == b"K":
                records.setdefault(b"linkpath", self._special(header).partition(b"\0")[0])
            elif kind == b"V":
                self._skip_to(_number(header, 124, 136))
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
        if not stated.isdigit() or sum(block) - sum(block[148:156]) + 256 != _number(block, 148, 156):
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
        size = _number(header, 124, 136)
        if size > MAX_HEADER:
            raise Malformed(f"a header of {size} bytes is larger than the {MAX_HEADER} allowed")
        data = self._source.take(size + -size % BLOCK)
        if len(data) < size:
            raise Malformed("the archive ends in the middle of a header")
        return data[:size]

    def _entry(self, header: bytes, records: dict[bytes, bytes], sparse: list[bytes]) -> Entry:
        entry = Entry()
        kind = header[156:157]
        entry.kind = FILE if kind in _REGULAR else kind
        entry.name = records.get(b"path") or _ustar_name(header)
        if entry.kind not in _KINDS:
            raise Malformed(f"{_shown(entry.name)} has the unknown type {kind!r}")
        entry.link = records.get(b"linkpath") or _text(header, 157, 257)
        entry.mode = _number(header, 100, 108) & 0o7777
        entry.uid = _owner(records.get(b"uid"), header, 108, 116)
        entry.gid = _owner(records.get(b"gid"), header, 116, 124)
        entry.mtime = _time(records.get(b"mtime"), header)
        entry.device = (
            (_number(header, 329, 337), _number(header, 337, 345)) if kind in (CHARACTER, BLOCK_DEVICE) else (0, 0)
        )
        entry.xattrs = (
            {key[len(XATTR) :]: value for key, value in records.items() if key.startswith(XATTR)} if records else {}
        )
        entry.segments = None
        self._sized(entry, header, records, sparse)
        if entry.kind == FILE and kind != b"S" and entry.name.endswith(b"/"):
            entry.kind = DIRECTORY
        if b"\0" in entry.name or b"\0" in entry.link:
            raise Malformed(f"{_shown(entry.name)} has a NUL in its name")
        return entry

    def _sized(self, entry: Entry, header: bytes, records: dict[bytes, bytes], sparse: list[bytes]) -> None:
        stored = _decimal(records[b"size"]) if records.get(b"size") else _number(header, 124, 136)
        if stored < 0:
            raise Malformed(f"{_shown(entry.name)} has a negative size")
        entry.stored = entry.size = stored if entry.kind == FILE else 0
        self._skip_to(entry.stored)
        if header[156:157] == b"S":
            self._gnu_sparse(entry, header)
        elif any(key.startswith(b"GNU.sparse.") for key in records):
            self._pax_sparse(entry, records, sparse)
        if entry.segments is not None:
            _check_segments(entry)

    def _gnu_sparse(self, entry: Entry, header: bytes) -> None:
        """The old form: pairs in the header and in blocks that follow it."""
        entry.size = _number(header, 483, 495)
        entry.segments = _pairs(header, 386, 4)
        more = header[482]
        while more:
            block = self._source.take(BLOCK)
            if len(block) < BLOCK or len(entry.segments) > MAX_SPARSE:
                raise Malformed(f"the map of the sparse file {_shown(entry.name)} is damaged")
            entry.segments += _pairs(block, 0, 21)
            more = block[504]

    def _pax_sparse(self, entry: Entry, records: dict[bytes, bytes], sparse: list[bytes]) -> None:
        """The forms 0.0, 0.1 (map in the header) and 1.0 (map in front of the data)."""
        entry.name = records.get(b"GNU.sparse.name") or entry.name
        real = records.get(b"GNU.sparse.realsize") or records.get(b"GNU.sparse.size")
        if real is None:
            raise Malformed(f"the sparse file {_shown(entry.name)} has no size")
        entry.size = _decimal(real)
        if records.get(b"GNU.sparse.major") == b"1":
            entry.segments = self._map_in_data(entry)
            return
        listed = records[b"GNU.sparse.map"].split(b",") if records.get(b"GNU.sparse.map") else sparse
        if len(listed) > 2 * MAX_SPARSE:
            raise Malformed(f"the map of the sparse file {_shown(entry.name)} is too long")
        entry.segments = _paired([_decimal(number) for number in listed], entry)

    def _map_in_data(self, entry: Entry) -> list[tuple[int, int]]:
        numbers: list[int] = []
        text = b""
        while not numbers or len(numbers) < 1 + 2 * numbers[0]:
            block = self._source.take(min(BLOCK, self._left)) if self._left else b""
            if not block or (numbers and numbers[0] > MAX_SPARSE):
                raise Malformed(f"the map of the sparse file {_shown(entry.name)} is damaged")
            self._left -= len(block)
            *lines, text = (text + block).split(b"\n")
            numbers += [_decimal(line) for line in lines[: 1 + 2 * MAX_SPARSE]]
            if numbers and len(numbers) > 1 + 2 * numbers[0]:
                numbers = numbers[: 1 + 2 * numbers[0]]
        entry.stored = self._left
        return _paired(numbers[1:], entry)


def _pairs(block: bytes, start: int, count: int) -> list[tuple[int, int]]:
    found = []
    for at in range(start, start + 24 * count, 24):
        if block[at] == 0:
            break
        found.append((_number(block, at, at + 12), _number(block, at + 12, at + 24)))
    return found


def _paired(numbers: list[int], entry: Entry) -> list[tuple[int, int]]:
    if len(numbers) % 2:
        raise Malformed(f"the map of the sparse file {_shown(entry.name)} is damaged")
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _check_segments(entry: Entry) -> None:
    """In order, apart from each other, inside the file, and as long together as the data."""
    end = total = 0
    for offset, length in entry.segments or ():
        if offset < end or length < 0:
            raise Malformed(f"the map of the sparse file {_shown(entry.name)} is not in order")
        end = offset + length
        total += length
    if end > entry.size or total != entry.stored:
        raise Malformed(f"the map of the sparse file {_shown(entry.name)} does not fit its data")


def _records(data: bytes, known: dict[bytes, bytes]) -> tuple[dict[bytes, bytes], list[bytes]]:
    """``LENGTH KEY=VALUE NEWLINE`` records over ``known`` ones, and the sparse numbers, whose keys repeat. An empty
    value takes a key away."""
    found = dict(known)
    sparse: list[bytes] = []
    at = 0
    while at < len(data):
        blank = data.find(b" ", at, at + 10)
        digits = data[at:blank] if blank > at else b""
        end = at + int(digits) if digits.isdigit() else 0
        equals = data.find(b"=", blank, end)
        if not blank < equals < end <= len(data) or data[end - 1] != 0x0A:
            raise Malformed("an extended header is damaged")
        key, value = data[blank + 1 : equals], data[equals + 1 : end - 1]
        if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
            sparse.append(value)
        elif value or key.startswith(XATTR):
            found[key] = value
        else:
            found.pop(key, None)
        at = end
    return found, sparse


def _ustar_name(header: bytes) -> bytes:
    name = _text(header, 0, 100)
    prefix = _text(header, 345, 500) if header[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


def _text(block: bytes, start: int, end: int) -> bytes:
    return block[start:end].partition(b"\0")[0]


def _number(block: bytes, start: int, end: int) -> int:
    """Octal digits, or a base-256 number where the first bit is set."""
    if block[start] & 0x80:
        value = int.from_bytes(block[start:end], "big", signed=False) - (1 << (8 * (end - start) - 1))
        return value - (1 << (8 * (end - start) - 1)) if block[start] & 0x40 else value
    digits = block[start:end].strip(b" \0")
    if digits.strip(b"01234567"):
        raise Malformed(f"a header has {digits[:16]!r} where a number must be")
    return int(digits, 8) if digits else 0


def _decimal(text: bytes) -> int:
    if not text.isdigit() or len(text) > 19:
        raise Malformed(f"a header has {text[:20]!r} where a number must be")
    return int(text)


def _owner(record: bytes | None, header: bytes, start: int, end: int) -> int:
    """A user or group. 2^32-1 would mean *leave it* to the kernel."""
    number = _decimal(record) if record else _number(header, start, end)
    if not 0 <= number < 0xFFFFFFFF:
        raise Malformed(f"a header has the owner {number}: expected 0 to 4294967294")
    return number


def _time(record: bytes | None, header: bytes) -> int:
    """Nanoseconds, from decimal seconds of any precision."""
    if not record:
        return _number(header, 136, 148) * 1_000_000_000
    if not _DECIMAL.fullmatch(record):
        raise Malformed(f"a header has {record[:20]!r} where a time must be")
    seconds, _, fraction = record.partition(b".")
    nanoseconds = int((fraction + b"000000000")[:9])
    whole = int(seconds or b"0") * 1_000_000_000
    return whole - nanoseconds if record.startswith(b"-") else whole + nanoseconds


def _shown(name: bytes) -> str:
    """A name for a message."""
    return repr(name[:200].decode(errors="backslashreplace"))
