"""Layers made from honest ones by a seeded mutator: odd names, types, links, numbers, whiteouts, records, bytes."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable

from reconciler.testing import graph_tars as tars
from reconciler.testing.graph_tars import BLOCK, Member

_KINDS = [bytes([kind]) for kind in b"0123456 7\0"]
_NUMBERS = (b"-1", b"0", b"1", b"99999999", b"2147483648", b"9223372036854775807", b"99999999999999999999", b"x", b"")
_TIMES = (b"0", b"-1.5", b"1.123456789123", b"4294967296.5", b"1e3", b"1.", b"", b"nan")


def base() -> bytes:
    """The layer below, which is not changed."""
    return tars.archive([*tars.nasty(), tars.symlink(b"to-tmp", b"tmp"), tars.symlink(b"out", b"../../../../..")])


def members() -> list[Member]:
    """The honest layer."""
    return [
        tars.directory(b"bin"),
        Member(b"bin/new", b"new", mode=0o755),
        tars.hard_link(b"bin/newer", b"bin/new"),
        tars.whiteout(b"bin/sg"),
        tars.opaque(b"tmp"),
        Member(b"tmp/fresh", b"z" * 700),
        tars.symlink(b"to-bin", b"bin"),
        tars.directory(b"a"),
        Member(b"a/b", b"ab", xattrs={"user.note": b"n"}),
        Member(b"pipe2", kind=b"6"),
        Member(b"zero", kind=b"3", device=(1, 5)),
        tars.sparse(b"more-holes", [(0, b"begin"), (8192, b"end")], 16384),
        Member(b"last", b"end of it"),
    ]


class Mutator:
    """``canary`` is the path of a directory outside that nothing may come into."""

    def __init__(self, seed: int, canary: bytes) -> None:
        self._random = random.Random(seed)
        up = b"../" * 30
        self._names = [
            b"..", b".", b"", b"/", b"./", b"a/..", b"a/../..", b"..a", b"a//b", b"./a/./b", b"a/b/c", b"/abs",
            canary + b"/x", up + canary[1:] + b"/x", b"to-tmp/x", b"to-tmp", b"out/x", b"out" + canary + b"/x",
            b"link/x", b"deep/passwd", b"bin", b"bin/su", b"tmp", b"locked/in", b"holes", b"n" * 255,
            b"n" * 256, b"d/" * 120 + b"deep", b"\xff\xfe", b"new\nline", b"a\\b", b"snow\xe2\x98\x83", b"implied/by",
        ]  # fmt: skip
        self._whiteouts = [
            b".wh.bin", b".wh.", b".wh..", b".wh...", b".wh..wh..opq", b"bin/.wh..wh..opq", b"nowhere/.wh..wh..opq",
            b".wh.nothing", b"nowhere/.wh.x", b"link/.wh.x", b"to-tmp/.wh..wh..opq", b"out/.wh.etc", b"bin/.wh.su",
            b".wh..wh.plnk", b".wh..wh.aufs", b".wh.out", b"bin/.wh.new", b"a/.wh.b", b".wh.a", b".wh.locked",
            b"a/b/.wh.c", b".wh.holes", b"last/.wh..wh..opq",
        ]  # fmt: skip
        self._ways: list[Callable[[list[Member], int], None]] = [
            self._rename, self._retarget, self._retype, self._remode, self._twice, self._drop, self._move,
            self._white, self._record, self._hard, self._clash,
        ]  # fmt: skip

    def layer(self) -> bytes:
        found, pick = members(), self._random
        for _ in range(pick.randint(1, 3)):
            pick.choice(self._ways)(found, pick.randrange(len(found)))
        data = tars.archive(found)
        return pick.choice((self._flip, self._cut, self._summed))(data) if pick.random() < 0.2 else data

    def _change(self, found: list[Member], at: int, **fields: object) -> None:
        found[at] = dataclasses.replace(found[at], **fields)  # type: ignore[arg-type]

    def _rename(self, found: list[Member], at: int) -> None:
        self._change(found, at, name=self._random.choice(self._names))

    def _retarget(self, found: list[Member], at: int) -> None:
        self._change(found, at, link=self._random.choice(self._names))

    def _retype(self, found: list[Member], at: int) -> None:
        self._change(found, at, kind=self._random.choice(_KINDS))

    def _remode(self, found: list[Member], at: int) -> None:
        self._change(found, at, mode=self._random.choice((0, 0o7777, 0o4711, 0o1777)), uid=self._random.randrange(9999))

    def _twice(self, found: list[Member], at: int) -> None:
        found.insert(self._random.randrange(len(found)), dataclasses.replace(found[at], data=b"twice"))

    def _drop(self, found: list[Member], at: int) -> None:
        del found[at]

    def _move(self, found: list[Member], at: int) -> None:
        found.insert(self._random.randrange(len(found)), found.pop(at))

    def _white(self, found: list[Member], at: int) -> None:
        found.insert(at, Member(self._random.choice(self._whiteouts)))

    def _hard(self, found: list[Member], at: int) -> None:
        found.insert(at, tars.hard_link(self._random.choice((b"hard", b"a/hard", b"bin/su")), self._target()))

    def _target(self) -> bytes:
        return self._random.choice([*self._names, b"link2", b"to-bin", b"null", b"pipe", b"bin/sg", b"bin/newer"])

    def _clash(self, found: list[Member], at: int) -> None:
        """Something of another type under a name that there is."""
        name = self._random.choice((b"bin", b"tmp", b"link", b"bin/su", b"locked", b"implied/by", b"out", b"last"))
        way = self._random.choice((Member, tars.directory))
        found.insert(at, way(name) if self._random.random() < 0.7 else tars.symlink(name, b"bin"))

    def _record(self, found: list[Member], at: int) -> None:
        key, values = self._random.choice((
            (b"path", self._names), (b"linkpath", self._names), (b"uid", _NUMBERS), (b"gid", _NUMBERS),
            (b"mtime", _TIMES), (b"atime", _TIMES), (b"size", _NUMBERS), (b"comment", _NUMBERS),
            (b"GNU.sparse.size", _NUMBERS), (b"GNU.sparse.map", (b"0,1", b"5,1,2,3", b"x")), (b"uname", self._names),
        ))  # fmt: skip
        self._change(found, at, records=[(key, self._random.choice(values))])

    def _flip(self, data: bytes) -> bytes:
        at = self._random.randrange(len(data))
        return data[:at] + bytes([data[at] ^ 1 << self._random.randrange(8)]) + data[at + 1 :]

    def _summed(self, data: bytes) -> bytes:
        """A byte of a header changed, and its checksum with it."""
        headers = [at for at in range(0, len(data), BLOCK) if data[at + 257 : at + 262] == b"ustar"]
        at = self._random.choice(headers)
        block = bytearray(data[at : at + BLOCK])
        block[self._random.choice((*range(100, 148), 156, *range(257, 345)))] = self._random.randrange(256)
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
        return data[:at] + bytes(block) + data[at + BLOCK :]

    def _cut(self, data: bytes) -> bytes:
        return data[: self._random.randrange(len(data))]
