"""Answers made of JSON that is encoded already: what a job sends is passed on without being read."""

from __future__ import annotations

from typing import Any

import falcon
import msgspec

from reconciler.api import status
from reconciler.model import kinds

#: says what a write did
OUTCOME = "Pydock-Outcome"


class Listing(msgspec.Struct, frozen=True):
    """The result of the job ``list``."""

    revision: int
    items: msgspec.Raw


class Written(msgspec.Struct, frozen=True):
    """The result of a job that writes."""

    object: msgspec.Raw
    plan: msgspec.Raw = msgspec.Raw()
    outcome: str = ""


_decode_listing = msgspec.json.Decoder(Listing).decode
_decode_written = msgspec.json.Decoder(Written).decode


def send(resp: falcon.Response, data: bytes | msgspec.Raw) -> None:
    """200 with JSON."""
    resp.content_type = falcon.MEDIA_JSON
    resp.data = bytes(data)


def send_value(resp: falcon.Response, value: Any) -> None:
    """200 with ``value`` as JSON."""
    send(resp, msgspec.json.encode(value))


def send_list(resp: falcon.Response, kind: kinds.Kind, result: msgspec.Raw) -> None:
    """A list object, such as ``ContainerList``."""
    listing = _decode_listing(result)
    head = (
        f'{{"kind":"{kind.name}List","apiVersion":"{kinds.API_VERSION}",'
        f'"metadata":{{"resourceVersion":"{listing.revision}"}},"items":'
    )
    send(resp, b"".join((head.encode(), listing.items, b"}")))


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
