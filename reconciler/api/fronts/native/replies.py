"""Answers made of JSON that is encoded already: what a job sends is passed on without being read."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from typing import Any

import falcon
import msgspec

from reconciler import errors
from reconciler.api import status
from reconciler.ipc import Stream
from reconciler.model import kinds

#: says what a write did
OUTCOME = "Pydock-Outcome"


class Head(msgspec.Struct, frozen=True):
    """The first item of the job ``list``."""

    revision: int
    token: str = msgspec.field(default="", name="continue")


class Written(msgspec.Struct, frozen=True):
    """The result of a job that writes."""

    object: msgspec.Raw
    plan: msgspec.Raw = msgspec.Raw()
    outcome: str = ""


_decode_head = msgspec.json.Decoder(Head).decode
#: bytes of a list that are put together before it is sent; a longer one is passed on as it comes
_WHOLE = 256 << 10
#: seconds in which the controller sends the next piece
_PATIENCE = 60.0
_decode_written = msgspec.json.Decoder(Written).decode


def send(resp: falcon.Response, data: bytes | msgspec.Raw) -> None:
    """200 with JSON."""
    resp.content_type = falcon.MEDIA_JSON
    resp.data = bytes(data)


def send_value(resp: falcon.Response, value: Any) -> None:
    """200 with ``value`` as JSON."""
    send(resp, msgspec.json.encode(value))


def send_list(resp: falcon.Response, kind: kinds.Kind, job: Stream) -> None:
    """A list object, such as ``ContainerList``: a short one whole, of a long one only a piece is in memory at a
    time."""
    pieces = _pieces(kind, job)
    taken: list[bytes] = []
    size = 0
    try:
        for piece in pieces:
            taken.append(piece)
            size += len(piece)
            if size > _WHOLE:
                resp.content_type = falcon.MEDIA_JSON
                resp.stream = Passing(b"".join(taken), pieces, job)
                return
    except BaseException:
        job.close()
        raise
    job.close()
    send(resp, b"".join(taken))


class Passing:
    """The rest of a list, as the WSGI server wants it. An error now cannot be told: the answer is cut off."""

    def __init__(self, begun: bytes, pieces: Iterator[bytes], job: Stream) -> None:
        self._begun, self._pieces, self._job = begun, pieces, job

    def __iter__(self) -> Iterator[bytes]:
        yield self._begun
        try:
            yield from self._pieces
        except errors.PydockError as error:
            raise ConnectionResetError(errno.ECONNRESET, f"the list was cut off: {error.message}") from error

    def close(self) -> None:
        self._job.close()


def _pieces(kind: kinds.Kind, job: Stream) -> Iterator[bytes]:
    items = _items(job)
    head = _decode_head(next(items))
    metadata: dict[str, str] = {"resourceVersion": str(head.revision)}
    if head.token:
        metadata["continue"] = head.token
    top = {"kind": f"{kind.name}List", "apiVersion": kinds.API_VERSION, "metadata": metadata}
    yield msgspec.json.encode(top)[:-1] + b',"items":['
    between = b""
    for item in items:
        yield between + bytes(item).strip()[1:-1]
        between = b","
    yield b"]}"


def _items(job: Stream) -> Iterator[msgspec.Raw]:
    while not job.ended:
        job.wait(time.monotonic() + _PATIENCE, "pydockd did not send the whole list in time; list again")
        item = job.receive()
        if item is not None:
            yield item


def send_written(resp: falcon.Response, result: msgspec.Raw, with_plan: bool) -> None:
    """The object that was written; 201 when it is new. ``with_plan`` puts the plan beside it."""
    written = _decode_written(result)
    send(resp, _beside(written.object, written.plan) if with_plan else written.object)
    if written.outcome:
        resp.set_header(OUTCOME, written.outcome)
    if written.outcome == "created":
        resp.status = status.line(201)


def _beside(encoded: msgspec.Raw, plan: msgspec.Raw) -> bytes:
    """An encoded object with one more member, ``plan``."""
    text = bytes(encoded).rstrip()
    return b"".join((text[:-1], b',"plan":', bytes(plan) or b"null", b"}"))
