"""The fields of tar headers and PAX records: numbers, names, owners and times.

Sources: POSIX.1-2017 pax, the manual of GNU tar ("Basic Tar Format"). Damaged input raises ``Malformed``.
"""

from __future__ import annotations

import re

XATTR = b"SCHILY.xattr."
_DECIMAL = re.compile(rb"-?[0-9]{1,20}(\.[0-9]*)?")


class Malformed(Exception):
    """the archive is damaged"""


def records(data: bytes, known: dict[bytes, bytes]) -> tuple[dict[bytes, bytes], list[bytes]]:
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


def ustar_name(header: bytes) -> bytes:
    name = text(header, 0, 100)
    prefix = text(header, 345, 500) if header[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


def text(block: bytes, start: int, end: int) -> bytes:
    return block[start:end].partition(b"\0")[0]


def number(block: bytes, start: int, end: int) -> int:
    """Octal digits, or a base-256 number where the first bit is set."""
    if block[start] & 0x80:
        value = int.from_bytes(block[start:end], "big", signed=False) - (1 << (8 * (end - start) - 1))
        return value - (1 << (8 * (end - start) - 1)) if block[start] & 0x40 else value
    digits = block[start:end].strip(b" \0")
    if digits.strip(b"01234567"):
        raise Malformed(f"a header has {digits[:16]!r} where a number must be")
    return int(digits, 8) if digits else 0


def decimal(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > 19:
        raise Malformed(f"a header has {digits[:20]!r} where a number must be")
    return int(digits)


def owner(record: bytes | None, header: bytes, start: int, end: int) -> int:
    """A user or group. 2^32-1 would mean *leave it* to the kernel."""
    found = decimal(record) if record else number(header, start, end)
    if not 0 <= found < 0xFFFFFFFF:
        raise Malformed(f"a header has the owner {found}: expected 0 to 4294967294")
    return found


def time(record: bytes | None, header: bytes) -> int:
    """Nanoseconds, from decimal seconds of any precision."""
    if not record:
        return number(header, 136, 148) * 1_000_000_000
    if not _DECIMAL.fullmatch(record):
        raise Malformed(f"a header has {record[:20]!r} where a time must be")
    seconds, _, fraction = record.partition(b".")
    nanoseconds = int((fraction + b"000000000")[:9])
    whole = int(seconds or b"0") * 1_000_000_000
    return whole - nanoseconds if record.startswith(b"-") else whole + nanoseconds
