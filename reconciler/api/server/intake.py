"""Collects the bytes of one request, and knows when they are all there.

A thread is given to a request only then, so that a client that sends slowly, or stops, holds no thread. This looks at
the bytes just enough to schedule; what they mean is judged by gunicorn's parser alone. Whatever looks odd is handed
over at once, for the parser to refuse it.
"""

from __future__ import annotations

import re
from enum import Enum, auto

#: bytes of a request line with headers, and of a body, that are collected
HEAD_LIMIT = 64 << 10
BODY_LIMIT = 8 << 20

_ARCHIVE = b"application/x-tar"

_HEAD_END = re.compile(rb"\r?\n\r?\n")
_HEADER = re.compile(rb"\n(content-length|content-type|transfer-encoding|expect)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE)
_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,8})(?:[ \t]*;[^\r\n]*)?\r\n")
#: bytes of a chunk's first line; longer ones are the parser's to refuse
_CHUNK_LINE_LIMIT = 8192


class State(Enum):
    """What to do next: read ``MORE``, hand ``READY`` bytes over, answer 431 to a ``HUGE`` head."""

    MORE = auto()
    READY = auto()
    HUGE = auto()


class Intake:
    """The bytes of one request so far, in ``buffer`` (and perhaps of the next one behind it).

    ``wants_continue``: the client waits for ``100 Continue`` before it sends the body. ``whole``: nothing of it is to
    come. ``flows``: its body is an archive of any size, which a thread reads while it comes.
    """

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.wants_continue = False
        self.whole = False
        self.flows = False
        self._body = -1
        self._chunk = -1
        self._length = 0
        self._chunked = False

    def feed(self, data: bytes) -> State:
        """Adds what was received."""
        seen = max(0, len(self.buffer) - 3)
        self.buffer += data
        if self._body < 0 and not self._find_head(seen):
            return State.MORE if len(self.buffer) <= HEAD_LIMIT else State.HUGE
        if self._body > HEAD_LIMIT:
            return State.HUGE
        return State.READY if self._has_body() else State.MORE

    def _find_head(self, start: int) -> bool:
        end = _HEAD_END.search(self.buffer, start)
        if end is None:
            return False
        self._body = self._chunk = end.end()
        for name, value in _HEADER.findall(self.buffer, 0, self._body):
            self._note(name.lower(), value.strip().lower())
        return True

    def _note(self, name: bytes, value: bytes) -> None:
        if name == b"content-length" and value.isdigit() and len(value) < 20:
            self._length = int(value)
        elif name == b"content-type":
            self.flows = value == _ARCHIVE
        elif name == b"transfer-encoding":
            self._chunked = value == b"chunked"
        elif name == b"expect":
            self.wants_continue = value == b"100-continue"

    def _has_body(self) -> bool:
        have = len(self.buffer) - self._body
        self.whole = self._skip_chunks() if self._chunked else have >= self._length
        # A body over the limit is refused for its size: the rest of it need not be here.
        return self.whole or self.flows or have > BODY_LIMIT or self._length > BODY_LIMIT

    def _skip_chunks(self) -> bool:
        """Steps over whole chunks; True at the last one's end, or where no chunk is."""
        while True:
            line = _CHUNK_SIZE.match(self.buffer, self._chunk)
            if line is None:
                rest = len(self.buffer) - self._chunk
                return self.buffer.find(b"\n", self._chunk) >= 0 or rest > _CHUNK_LINE_LIMIT
            size = int(line[1], 16)
            if size == 0:
                return _has_trailer_end(self.buffer, line.end())
            end = line.end() + size + 2
            if len(self.buffer) < end:
                return False
            self._chunk = end


def _has_trailer_end(buffer: bytearray, start: int) -> bool:
    return buffer.startswith(b"\r\n", start) or buffer.find(b"\r\n\r\n", start) >= 0
