"""A blob on its way from a registry: whole, or the rest of one that broke off.

A registry need not serve parts of blobs (distribution spec, "Pulling blobs"), and some refuse to in odd ways. Whatever
is not exactly the rest that was asked for makes the blob come whole; what was had already is skipped.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from reconciler import errors
from reconciler.drivers.registry import base, transport

#: asks for the blob with these headers; any answer
Ask = Callable[[dict[str, str]], transport.Answer]
Sink = Callable[[memoryview], None]

#: says nothing about ranges: it wants to be left alone for a while
_BUSY = frozenset((429, 503))
_CONTENT_RANGE = re.compile(r"\s*bytes[\s=]+([0-9]+)\s*-\s*([0-9]+)\s*/\s*([0-9]+|\*)\s*", re.IGNORECASE)


def fetch(ask: Ask, blob: base.Descriptor, offset: int, sink: Sink) -> None:
    """Hands the bytes from ``offset`` on to ``sink``. Raises the error that the answer means, ``Permanent`` for a blob
    of another size, and ``Temporary`` where it breaks off."""
    if offset:
        with ask({"Range": f"bytes={offset}-"}) as answer:
            if answer.status == 200 or _is_rest(answer, blob, offset):
                return _copy(answer, blob, offset, sink)
            if answer.status in _BUSY:
                raise answer.failure()
    with ask({}) as answer:
        if answer.status != 200 and not _is_rest(answer, blob, 0):
            raise answer.failure()
        return _copy(answer, blob, offset, sink)


def _is_rest(answer: transport.Answer, blob: base.Descriptor, offset: int) -> bool:
    """Whether the answer is the blob from ``offset`` to its end (RFC 9110, 14.4)."""
    said = _CONTENT_RANGE.fullmatch(answer.header("Content-Range"))
    if answer.status != 206 or said is None:
        return False
    first, last, size = said[1], said[2], said[3]
    return int(first) == offset and int(last) == blob.size - 1 and size in ("*", str(blob.size))


def _copy(answer: transport.Answer, blob: base.Descriptor, offset: int, sink: Sink) -> None:
    """No more and no fewer bytes than the blob has."""
    skip = _first_wanted(answer, offset)
    left = blob.size - offset
    length = answer.header("Content-Length")
    if length.isdigit() and int(length) != left + skip:
        raise errors.Permanent(f"it announces {length} bytes for {blob.digest}, where the manifest says {left + skip}")
    for piece in answer.pieces():
        view = memoryview(piece)[skip:]
        skip -= len(piece) - len(view)
        if len(view) > left:
            raise errors.Permanent(f"it sends more than the {blob.size} bytes that {blob.digest} has")
        left -= len(view)
        if view:
            sink(view)
    if left:
        raise errors.Temporary(f"it ended {left} bytes before the end of {blob.digest}", delay=1.0)


def _first_wanted(answer: transport.Answer, offset: int) -> int:
    """The position in the answer's body of the blob's byte ``offset``."""
    first = _CONTENT_RANGE.fullmatch(answer.header("Content-Range")) if answer.status == 206 else None
    return offset - (int(first[1]) if first else 0)
