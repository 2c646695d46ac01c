"""Members of tar archives as image layers hold them: ustar, with PAX records for what does not fit (POSIX.1-2017 pax).

Names and values are bytes: those that are not UTF-8 stay what they are. ``tar`` reads what comes out.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from reconciler.drivers.graph import tar, tar_fields

_NAME = 100
_OWNER = 0o7777777
_SIZE = 0o77777777777
_SECOND = 1_000_000_000


def member(
    name: bytes, kind: bytes, found: os.stat_result, *, link: bytes = b"", xattrs: Mapping[bytes, bytes] | None = None
) -> bytes:
    """The header of a member that is like ``found``; a file's bytes follow, and then ``padding``."""
    size = found.st_size if kind == tar.FILE else 0
    records = _records(name, link, found, size)
    records += [(tar_fields.XATTR + key, value) for key, value in sorted((xattrs or {}).items())]
    block = bytearray(tar.BLOCK)
    _fill(block, name, kind, size)
    block[100:108] = b"%07o\0" % stat.S_IMODE(found.st_mode)
    block[108:116] = b"%07o\0" % min(found.st_uid, _OWNER)
    block[116:124] = b"%07o\0" % min(found.st_gid, _OWNER)
    block[136:148] = b"%011o\0" % min(max(found.st_mtime_ns // _SECOND, 0), _SIZE)
    block[157:257] = link[:_NAME].ljust(_NAME, b"\0")
    if kind in (tar.CHARACTER, tar.BLOCK_DEVICE):
        block[329:337] = b"%07o\0" % os.major(found.st_rdev)
        block[337:345] = b"%07o\0" % os.minor(found.st_rdev)
    return _extended(records) + _summed(block)


def empty(name: bytes) -> bytes:
    """An empty file of root's, of no time: a whiteout."""
    records = [(b"path", name)] if len(name) > _NAME else []
    block = bytearray(tar.BLOCK)
    _fill(block, name, tar.FILE, 0)
    return _extended(records) + _summed(block)


def padding(size: int) -> bytes:
    """What stands between ``size`` bytes and the next header."""
    return bytes(-size % tar.BLOCK)


END = bytes(2 * tar.BLOCK)


def _records(name: bytes, link: bytes, found: os.stat_result, size: int) -> list[tuple[bytes, bytes]]:
    records = [(key, value) for key, value in ((b"path", name), (b"linkpath", link)) if len(value) > _NAME]
    mtime = found.st_mtime_ns
    if mtime % _SECOND or not 0 <= mtime // _SECOND <= _SIZE:
        seconds, rest = divmod(abs(mtime), _SECOND)
        records.append((b"mtime", b"%s%d.%09d" % (b"-" if mtime < 0 else b"", seconds, rest)))
    records += [
        (key, b"%d" % value)
        for key, value, most in ((b"uid", found.st_uid, _OWNER), (b"gid", found.st_gid, _OWNER), (b"size", size, _SIZE))
        if value > most
    ]
    return records


def _extended(records: list[tuple[bytes, bytes]]) -> bytes:
    """A header with records for the member that follows; nothing if there are none."""
    if not records:
        return b""
    body = b"".join(_record(key, value) for key, value in records)
    block = bytearray(tar.BLOCK)
    _fill(block, b"PaxHeaders", b"x", len(body))
    return _summed(block) + body + padding(len(body))


def _record(key: bytes, value: bytes) -> bytes:
    """``LENGTH KEY=VALUE NEWLINE``, where LENGTH counts itself too."""
    body = b" " + key + b"=" + value + b"\n"
    length = len(body) + 1
    while len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    return b"%d" % length + body


def _fill(block: bytearray, name: bytes, kind: bytes, size: int) -> None:
    block[0:100] = name[:_NAME].ljust(_NAME, b"\0")
    block[100:136] = b"0000644\0" + 2 * b"0000000\0" + b"%011o\0" % min(size, _SIZE)
    block[136:148] = b"%011o\0" % 0
    block[156:157] = kind
    block[257:265] = b"ustar\x0000"
    block[329:345] = 2 * b"0000000\0"


def _summed(block: bytearray) -> bytes:
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)
