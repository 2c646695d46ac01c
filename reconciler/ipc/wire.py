"""What the frames say: requests, replies, and errors that survive the way."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from reconciler import errors


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The one frame of a caller. ``client``: the last descriptor is the socket of the client on whose behalf it
    asks."""

    job: str
    args: dict[str, Any] = {}
    client: bool = False


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error of ``reconciler.errors``: ``type`` (``class`` on the wire) is its class's name."""

    type: str = msgspec.field(name="class")
    message: str
    problems: tuple[errors.Problem, ...] = ()
    delay: float = 0.0


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """One frame of the job: exactly one field is set. ``item`` and ``result`` stay encoded until somebody needs
    their inside."""

    state: Literal["", "accepted", "started"] = ""
    item: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: Failure | msgspec.UnsetType = msgspec.UNSET


ACCEPTED = msgspec.json.encode(Reply(state="accepted"))
STARTED = msgspec.json.encode(Reply(state="started"))

decode_asked = msgspec.json.Decoder(Asked).decode
decode_reply = msgspec.json.Decoder(Reply).decode

_CLASSES: dict[str, type[errors.PydockError]] = {
    found.__name__: found
    for found in vars(errors).values()
    if isinstance(found, type) and issubclass(found, errors.PydockError)
}


def encode_item(item: Any) -> bytes:
    """``item`` may hold ``msgspec.Raw`` parts: they go as they are."""
    return msgspec.json.encode({"item": item})


def encode_result(value: Any) -> bytes:
    """As ``encode_item``."""
    return msgspec.json.encode({"result": value})


def encode_error(error: errors.PydockError) -> bytes:
    failure = Failure(
        type(error).__name__,
        error.message,
        tuple(getattr(error, "problems", ())),
        float(getattr(error, "delay", 0.0)),
    )
    return msgspec.json.encode({"error": failure})


def rebuild(failure: Failure) -> errors.PydockError:
    """The error that was raised on the other side; a class unknown here is ``Permanent``."""
    found = _CLASSES.get(failure.type, errors.Permanent)
    if issubclass(found, errors.Invalid):
        return found(failure.message, failure.problems)
    if issubclass(found, errors.Temporary):
        return found(failure.message, failure.delay)
    return found(failure.message)
