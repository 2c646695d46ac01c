"""Reading a container's log in conmon's k8s-file format.

Each record is a line ``RFC3339nano stream F|P text``: ``P`` is a piece of a longer line, ``F`` its end. A log is a
chain of files (``log_files``); the last one may grow while it is read, and another may take its place.
"""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Iterator
from datetime import datetime
from typing import Literal, NamedTuple, Protocol

from reconciler.drivers import inotify
from reconciler.drivers.exec import log_files
from reconciler.drivers.exec.base import LogLine, LogQuery, LogStop
from reconciler.drivers.exec.log_chain import Chain

#: a longer line is handed out in parts of about this size (``partial``), so that memory stays bounded
MAX_LINE = 1 << 20
_MAX_PIECES = 1 << 14
_BLOCK = 1 << 16
#: a file's time may lie so many seconds before that of its last record: file systems read a coarser clock
_COARSE = 1.0

Stream = Literal["stdout", "stderr"]
_MARK = b" " + log_files.MARK + b" "


class File(Protocol):
    """What is read from: a chain of files, or one."""

    def seek(self, offset: int) -> object: ...

    def tell(self) -> int: ...

    def read(self, count: int) -> bytes: ...


class Record(NamedTuple):
    time: str
    stream: Stream
    final: bool
    text: bytes


def parse(line: bytes) -> Record | None:
    """One record without its newline; None when it is none."""
    parts = line.split(b" ", 3)
    if len(parts) != 4 or parts[1] not in (b"stdout", b"stderr") or parts[2] not in (b"F", b"P"):
        return None
    stream: Stream = "stdout" if parts[1] == b"stdout" else "stderr"
    return Record(parts[0].decode("ascii", "replace"), stream, parts[2] == b"F", parts[3])


class _Pieces:
    """The line of one stream that has no end yet. ``wanted``: its latest piece lies where lines are asked for."""

    def __init__(self, time: str) -> None:
        self.time = time
        self.texts: list[bytes] = []
        self.size = 0
        self.wanted = False

    def full(self) -> bool:
        return self.size >= MAX_LINE or len(self.texts) >= _MAX_PIECES


class Joiner:
    """Puts the pieces of each stream's lines together."""

    def __init__(self) -> None:
        self._open: dict[Stream, _Pieces] = {}

    def add(self, record: Record, wanted: bool = True) -> LogLine | None:
        """The line that ``record`` ends, if it ends one (or if it has grown too long)."""
        pieces = self._open.setdefault(record.stream, _Pieces(record.time))
        pieces.texts.append(record.text)
        pieces.size += len(record.text)
        pieces.wanted = wanted
        if record.final or pieces.full():
            return self._take(record.stream, partial=not record.final)
        return None

    def rest(self) -> Iterator[LogLine]:
        """What has no end yet."""
        for stream in [stream for stream, pieces in self._open.items() if pieces.wanted]:
            yield self._take(stream, partial=True)

    def _take(self, stream: Stream, partial: bool) -> LogLine:
        pieces = self._open.pop(stream)
        return LogLine(pieces.time, stream, b"".join(pieces.texts), partial)


def mark_of(line: bytes) -> LogLine | None:
    """The mark that a record of ours sets: here a run begins, of the incarnation that ``text`` names."""
    parts = line.split(b" ", 4)
    if len(parts) != 5 or parts[1] != log_files.MARK or parts[2:4] != [b"F", b"run"]:
        return None
    return LogLine(parts[0].decode("ascii", "replace"), "run", parts[4])


def lines(path: str, query: LogQuery, stop: LogStop) -> Iterator[LogLine]:
    """As ``ExecDriver.log_lines``."""
    if query.follow and not query.previous:
        yield from _since(_follow(path, query.tail, query.since, stop), query.since)
    else:
        yield from _since(_all(path, query), query.since)


def _since(found: Iterator[LogLine], since: float) -> Iterator[LogLine]:
    """From the first line on that was written at ``since`` or later; the last mark before it comes first."""
    latest: LogLine | None = None
    for line in found:
        if since and _seconds(line.time) < since:
            latest = line if line.stream == "run" else latest
            continue
        if latest is not None:
            yield latest
        yield line
        break
    yield from found


def _seconds(time: str) -> float:
    """Unix seconds of a record's time; now, so that it is shown, for what is none."""
    try:
        return datetime.fromisoformat(time).timestamp()
    except ValueError:
        return float("inf")


def _all(path: str, query: LogQuery) -> Iterator[LogLine]:
    chain = Chain(path, 0.0 if query.previous else query.since - _COARSE)
    try:
        # what is written from now on is left out, or a busy log would never end
        begin, end = _previous(chain) if query.previous else (0, chain.size())
        joiner = Joiner()
        yield from _Reader(chain, joiner, query.tail, begin, end).read(end)
        yield from joiner.rest()
    finally:
        chain.close()


def _previous(chain: Chain) -> tuple[int, int]:
    """Where the records of the run before the latest one begin and end; (0, 0) when there are none."""
    end = -1
    for at, raw in _backwards(chain, chain.size()):
        if _MARK in raw[:64] and mark_of(raw) is not None:
            if end >= 0 and end > at + len(raw) + 1:
                return at, end
            # of a create that was tried again nothing but its mark is left
            end = at
    return (0, max(end, 0))


class _Reader:
    """Reads records from where the last call stopped; the first call starts where ``tail`` says, but not before
    ``begin``."""

    def __init__(self, file: File, joiner: Joiner, tail: int | None, begin: int, end: int) -> None:
        self._file = file
        self._joiner = joiner
        start, self._shown_from = (begin, begin) if tail is None else tail_position(file, tail, begin, end)
        self._at = start
        file.seek(start)
        self._broken = b""

    def read(self, end: int | None = None) -> Iterator[LogLine]:
        """Lines that are complete by now (by byte ``end`` of the file)."""
        while block := self._file.read(_BLOCK if end is None else max(0, min(_BLOCK, end - self._file.tell()))):
            *whole, self._broken = (self._broken + block).split(b"\n")
            for raw in whole:
                self._at += len(raw) + 1
                line = self._line(raw)
                if line is not None:
                    yield line

    def _line(self, raw: bytes) -> LogLine | None:
        # pieces from before the tail belong to lines that end after it, whole lines do not
        wanted = self._at > self._shown_from
        record = parse(raw)
        if record is None:
            return mark_of(raw) if wanted else None
        line = self._joiner.add(record, wanted)
        return line if wanted else None

    def beyond(self, size: int) -> bool:
        """Whether the file has become shorter than what was read of it."""
        return size < self._at


def tail_position(file: File, count: int, begin: int, end: int) -> tuple[int, int]:
    """(where to start reading, after which byte a line's end must lie to be among the ``count`` last before ``end``).

    Reads from the end no more than it takes: the lines themselves, and for the pieces of theirs that lie before the
    boundary at most ``MAX_LINE`` bytes.
    """
    start = boundary = end
    shown: set[Stream] = set()
    seen = 0
    for at, raw in _backwards(file, end):
        if at < begin:
            break
        record = parse(raw) if seen < count or shown else None
        if seen == count and (not shown or boundary - at > MAX_LINE):
            break
        if record is None:
            continue
        if seen < count and (record.final or record.stream not in shown):
            # a line's end; a last piece without one counts as a line too
            seen += 1
            shown.add(record.stream)
            start = boundary = at
        elif not record.final and record.stream in shown:
            start = at
        elif record.final:
            shown.discard(record.stream)
    return start, boundary


def _backwards(file: File, end: int) -> Iterator[tuple[int, bytes]]:
    """Complete lines before byte ``end``, last first, each with its offset."""
    rest = b""
    whole = False
    while end > 0:
        start = max(0, end - _BLOCK)
        file.seek(start)
        pieces = (file.read(end - start) + rest).split(b"\n")
        at = start + sum(len(piece) + 1 for piece in pieces) - 1
        for index in range(len(pieces) - 1, 0, -1):
            at -= len(pieces[index])
            if whole or index < len(pieces) - 1:
                yield at, pieces[index]
            at -= 1
            whole = True
        rest = pieces[0]
        end = start
    if whole:
        yield 0, rest


def _follow(path: str, tail: int | None, since: float, stop: LogStop) -> Iterator[LogLine]:
    watch = inotify.Inotify()
    poller = select.poll()
    poller.register(watch.fileno(), select.POLLIN)
    poller.register(stop.fileno(), select.POLLIN)
    joiner = Joiner()
    chain = Chain(path, since - _COARSE)
    try:
        reader = _Reader(chain, joiner, tail, 0, chain.size())
        while True:
            # watches first, then a look: nothing is missed between the two
            with contextlib.suppress(FileNotFoundError):  # it went with its container: only ``stop`` can come
                watch.add(os.path.dirname(path) or ".", inotify.CREATE | inotify.MOVED_TO)
                watch.add(path, inotify.MODIFY)  # if it is not there yet, the directory tells when it comes
            yield from reader.read()
            while chain.grow():
                yield from reader.read()
            if reader.beyond(chain.size()):
                chain.restart()
                reader = _Reader(chain, joiner, None, 0, 0)
                yield from reader.read()
            chain.forget_read()
            if any(fd == stop.fileno() for fd, _ in poller.poll()):
                while chain.grow():
                    pass
                # what was written before the stop, and no more
                yield from reader.read(chain.size())
                break
            watch.read()
        yield from joiner.rest()
    finally:
        watch.close()
        chain.close()
