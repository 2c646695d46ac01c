"""Reading a container's log in conmon's k8s-file format.

Each record is a line ``RFC3339nano stream F|P text``: ``P`` is a piece of a longer line, ``F`` its end. The file may
grow while it is read, and may be renamed away with a new one taking its place.
"""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Iterator
from typing import IO, Literal, NamedTuple

from reconciler.drivers import inotify
from reconciler.drivers.exec.base import LogLine, LogStop

#: a longer line is handed out in parts of about this size (``partial``), so that memory stays bounded
MAX_LINE = 1 << 20
_MAX_PIECES = 1 << 14
_BLOCK = 1 << 16

Stream = Literal["stdout", "stderr"]


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


def lines(path: str, tail: int | None, follow: bool, stop: LogStop) -> Iterator[LogLine]:
    """As ``ExecDriver.log_lines``."""
    if follow:
        yield from _follow(path, tail, stop)
        return
    try:
        with open(path, "rb") as file:
            yield from _all(file, tail)
    except FileNotFoundError:
        return


def _all(file: IO[bytes], tail: int | None) -> Iterator[LogLine]:
    end = os.fstat(file.fileno()).st_size
    joiner = Joiner()
    reader = _Reader(file, joiner, tail)
    # what is written from now on is left out, or a busy log would never end
    yield from reader.read(end)
    yield from joiner.rest()


class _Reader:
    """Reads records from where the last call stopped; the first call starts where ``tail`` says."""

    def __init__(self, file: IO[bytes], joiner: Joiner, tail: int | None) -> None:
        self._file = file
        self._joiner = joiner
        start, self._shown_from = (0, 0) if tail is None else tail_position(file, tail)
        self._at = start
        file.seek(start)
        self._broken = b""

    def read(self, end: int | None = None) -> Iterator[LogLine]:
        """Lines that are complete by now (by byte ``end`` of the file)."""
        while block := self._file.read(_BLOCK if end is None else max(0, min(_BLOCK, end - self._file.tell()))):
            *whole, self._broken = (self._broken + block).split(b"\n")
            for raw in whole:
                self._at += len(raw) + 1
                record = parse(raw)
                # pieces from before the tail belong to lines that end after it, whole lines do not
                wanted = self._at > self._shown_from
                line = self._joiner.add(record, wanted) if record else None
                if line is not None and wanted:
                    yield line

    def truncated(self) -> bool:
        return os.fstat(self._file.fileno()).st_size < self._at


def tail_position(file: IO[bytes], count: int) -> tuple[int, int]:
    """(where to start reading, after which byte a line's end must lie to be among the ``count`` last).

    Reads from the end no more than it takes: the lines themselves, and for the pieces of theirs that lie before the
    boundary at most ``MAX_LINE`` bytes.
    """
    end = os.fstat(file.fileno()).st_size
    start = boundary = end
    shown: set[Stream] = set()
    seen = 0
    for at, raw in _backwards(file, end):
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


def _backwards(file: IO[bytes], end: int) -> Iterator[tuple[int, bytes]]:
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


def _follow(path: str, tail: int | None, stop: LogStop) -> Iterator[LogLine]:
    watch = inotify.Inotify()
    poller = select.poll()
    poller.register(watch.fileno(), select.POLLIN)
    poller.register(stop.fileno(), select.POLLIN)
    joiner = Joiner()
    file: IO[bytes] | None = None
    reader: _Reader | None = None
    try:
        while True:
            # watches first, then a look: nothing is missed between the two
            with contextlib.suppress(FileNotFoundError):  # it went with its container: only ``stop`` can come
                watch.add(os.path.dirname(path) or ".", inotify.CREATE | inotify.MOVED_TO)
                watch.add(path, inotify.MODIFY)  # if it is not there yet, the directory tells when it comes
            if file is not None and reader is not None:
                yield from reader.read()
            if file is None or reader is None or _replaced(path, file) or reader.truncated():
                fresh = _open(path)
                if fresh is not None:
                    if file is not None:
                        file.close()
                    file, reader, tail = fresh, _Reader(fresh, joiner, tail), None
                    yield from reader.read()
            if any(fd == stop.fileno() for fd, _ in poller.poll()):
                if file is not None and reader is not None:  # what was written before the stop, and no more
                    yield from reader.read(os.fstat(file.fileno()).st_size)
                break
            watch.read()
        yield from joiner.rest()
    finally:
        watch.close()
        if file is not None:
            file.close()


def _open(path: str) -> IO[bytes] | None:
    try:
        return open(path, "rb")
    except FileNotFoundError:
        return None


def _replaced(path: str, file: IO[bytes]) -> bool:
    """Whether another file has taken the path's place."""
    try:
        return not os.path.samestat(os.stat(path), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
