"""Archives made by hand, honest and nasty: header by header, so that anything can be said in them."""

from __future__ import annotations

import io
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

BLOCK = 512


@dataclass(frozen=True)
class Member:
    """One member. ``mtime`` in nanoseconds; ``records`` are PAX records besides those that the fields make;
    ``raw_size`` lies about the size."""

    name: bytes
    data: bytes = b""
    kind: bytes = b"0"
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime: int = 1_500_000_000_000_000_000
    link: bytes = b""
    device: tuple[int, int] = (0, 0)
    xattrs: dict[str, bytes] = field(default_factory=dict)
    records: Sequence[tuple[bytes, bytes]] = ()
    raw_size: int | None = None

    def encoded(self) -> bytes:
        records = self._records()
        extra = b""
        if records:
            body = b"".join(_record(key, value) for key, value in records)
            extra = _header(b"PaxHeaders", len(body), b"x") + _padded(body)
        size = len(self.data) if self.raw_size is None else self.raw_size
        own = _header(self.name, size, self.kind, self)
        return extra + own + _padded(self.data)

    def _records(self) -> list[tuple[bytes, bytes]]:
        found = list(self.records)
        if len(self.name) > 100:
            found.append((b"path", self.name))
        if len(self.link) > 100:
            found.append((b"linkpath", self.link))
        if self.mtime % 1_000_000_000 or self.mtime < 0:
            sign = b"-" if self.mtime < 0 else b""
            whole, fraction = divmod(abs(self.mtime), 1_000_000_000)
            found.append((b"mtime", sign + f"{whole}.{fraction:09d}".encode()))
        if max(self.uid, self.gid) > 0o7777777:
            found += [(b"uid", str(self.uid).encode()), (b"gid", str(self.gid).encode())]
        return found + [(b"SCHILY.xattr." + key.encode(), value) for key, value in self.xattrs.items()]


def directory(name: bytes, mode: int = 0o755, **rest: object) -> Member:
    return Member(name.rstrip(b"/") + b"/", kind=b"5", mode=mode, **rest)  # type: ignore[arg-type]


def symlink(name: bytes, target: bytes) -> Member:
    return Member(name, kind=b"2", mode=0o777, link=target)


def hard_link(name: bytes, target: bytes) -> Member:
    return Member(name, kind=b"1", link=target)


def whiteout(name: bytes) -> Member:
    above, slash, last = name.rpartition(b"/")
    return Member(above + slash + b".wh." + last)


def opaque(name: bytes) -> Member:
    return Member(name + b"/.wh..wh..opq")


def under(prefix: bytes, members: Sequence[Member]) -> list[Member]:
    """The members in a directory ``prefix``: names, hard links, and links that begin at the root."""
    found = []
    for member in members:
        link = member.link
        if member.kind == b"1" or link.startswith(b"/"):
            link = prefix + b"/" + link.lstrip(b"/")
            link = link if member.kind == b"1" else b"/" + link
        found.append(replace(member, name=prefix + b"/" + member.name, link=link))
    return found


def archive(members: Sequence[Member], end: bytes = bytes(2 * BLOCK)) -> bytes:
    out = io.BytesIO()
    for member in members:
        out.write(member.encoded())
    out.write(end)
    return out.getvalue()


def capability() -> bytes:
    """security.capability of version 2 with CAP_NET_RAW, permitted and effective."""
    return (0x02000001).to_bytes(4, "little") + (1 << 13).to_bytes(4, "little") + bytes(12)


def nasty() -> list[Member]:
    """One of everything that an honest image may have and a careless tool loses."""
    return [
        directory(b"."),
        directory(b"bin", 0o755, mtime=1_400_000_000_123_456_789),
        Member(b"bin/su", b"#!setuid", mode=0o4755, mtime=1_400_000_001_000_000_001),
        Member(b"bin/sg", b"#!setgid", mode=0o2755, gid=42),
        Member(b"bin/ping", b"#!caps", mode=0o755, xattrs={"security.capability": capability()}),
        Member(b"bin/noted", b"x", xattrs={"user.note": b"a\0b=\n\xff"}),
        hard_link(b"bin/su2", b"bin/su"),
        hard_link(b"su3", b"./bin/su"),
        directory(b"tmp", 0o1777, uid=7, gid=8, xattrs={"user.dir": b"d"}),
        symlink(b"link", b"/etc/passwd"),
        symlink(b"deep", b"../../../../etc"),
        hard_link(b"link2", b"link"),
        Member(b"latin-\xe9\xff", b"not utf-8"),
        Member(b"pax-\xe9" + b"x" * 120, b"not utf-8, and long"),
        Member("snow☃".encode(), b"utf-8"),
        Member(b"old", b"", mtime=-5_000_000_000),
        Member(b"big-owner", b"", uid=2_000_000_000, gid=1_999_999_999),
        Member(b"pipe", kind=b"6", mode=0o600),
        Member(b"null", kind=b"3", mode=0o666, device=(1, 3)),
        Member(b"loop", kind=b"4", mode=0o660, gid=6, device=(7, 9)),
        sparse(b"holes", [(0, b"begin"), (1 << 20, b"end")], (1 << 20) + 4096),
        directory(b"locked", 0o000, uid=1000, gid=1000),
        Member(b"locked/in", b"inside", mode=0o000),
        Member(b"implied/by/file", b"y"),
        directory(b"setgid", 0o2775, gid=50),
        Member(b"setgid/child", b"", gid=0),
    ]


def sparse(name: bytes, segments: Sequence[tuple[int, bytes]], size: int) -> Member:
    """A sparse file in PAX form 1.0: the map stands in front of the data."""
    numbers = [len(segments)]
    for offset, data in segments:
        numbers += [offset, len(data)]
    text = "".join(f"{number}\n" for number in numbers).encode()
    stored = _padded(text) + b"".join(data for _, data in segments)
    records = [
        (b"GNU.sparse.major", b"1"),
        (b"GNU.sparse.minor", b"0"),
        (b"GNU.sparse.name", name),
        (b"GNU.sparse.realsize", str(size).encode()),
    ]
    return Member(b"GNUSparseFile.0/x", stored, records=records)


def old_sparse(name: bytes, segments: Sequence[tuple[int, bytes]], size: int) -> bytes:
    """A sparse file in GNU tar's old form, type S: a whole member."""
    data = b"".join(piece for _, piece in segments)
    pairs = [(offset, len(piece)) for offset, piece in segments]
    block = bytearray(_header(name, len(data), b"S"))
    block[257:265] = b"ustar  \0"
    block[345:500] = bytes(155)
    at = 386
    for offset, length in pairs[:4]:
        block[at : at + 24] = b"%011o\0%011o\0" % (offset, length)
        at += 24
    rest = pairs[4:]
    block[482] = 1 if rest else 0
    block[483:495] = b"%011o\0" % size
    out = _summed(block)
    while rest:
        more = bytearray(BLOCK)
        for index, (offset, length) in enumerate(rest[:21]):
            more[24 * index : 24 * index + 24] = b"%011o\0%011o\0" % (offset, length)
        rest = rest[21:]
        more[504] = 1 if rest else 0
        out += bytes(more)
    return out + _padded(data)


def _record(key: bytes, value: bytes) -> bytes:
    body = b" " + key + b"=" + value + b"\n"
    length = len(body) + 1
    while len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    return str(length).encode() + body


def _header(name: bytes, size: int, kind: bytes, member: Member | None = None) -> bytes:
    block = bytearray(BLOCK)
    found = member or Member(name)
    block[0:100] = name[:100].ljust(100, b"\0")
    block[100:108] = b"%07o\0" % stat.S_IMODE(found.mode)
    block[108:116] = b"%07o\0" % min(found.uid, 0o7777777)
    block[116:124] = b"%07o\0" % min(found.gid, 0o7777777)
    block[124:136] = b"%011o\0" % size
    block[136:148] = b"%011o\0" % max(found.mtime // 1_000_000_000, 0)
    block[156:157] = kind
    block[157:257] = found.link[:100].ljust(100, b"\0")
    block[257:265] = b"ustar\x0000"
    block[329:337] = b"%07o\0" % found.device[0]
    block[337:345] = b"%07o\0" % found.device[1]
    return _summed(block)


def _summed(block: bytearray) -> bytes:
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)
