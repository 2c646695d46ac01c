"""Desired state: the objects as their owners wrote them.

``gc=False`` here and beside: records hold no cycles, and the collector need not walk 10,000 objects time and again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from reconciler.model.keys import Key

#: the source of objects that pydock made by itself: any other source may take them over
BUILTIN = "builtin"
#: the source of objects that another object has made; ``item`` is that object's uid
OBJECT = "object"
#: how the uid of an object begins that is not stored yet
NEW = "new:"
#: an annotation in a manifest: with the value ``"true"`` its document takes the object over from another owner
TAKE_OVER = "pydock.dev/take-over"


class Owner(msgspec.Struct, frozen=True, gc=False):
    """Who holds an object: ``source`` is ``dir:/etc/pydock.d`` or ``api``; ``item`` is the file's path
    relative to the directory, or the API manager's name."""

    source: str
    item: str

    def __str__(self) -> str:
        if self.source.startswith("dir:"):
            return f"{self.source}/{self.item}"
        return f"object {self.item}" if self.source == OBJECT else f"{self.source} manager {self.item!r}"


class Document(msgspec.Struct, frozen=True):
    """One validated manifest: what the user wrote, guarded and checked against its schema."""

    key: Key
    labels: dict[str, str]
    annotations: dict[str, str]
    spec: dict[str, Any]


class SourceNote(msgspec.Struct, frozen=True, gc=False):
    """Why the file that holds an object, and the object, differ: what its condition ``Source`` says, since when (Unix
    seconds)."""

    reason: str
    message: str
    since: float


class Override(msgspec.Struct, frozen=True, gc=False):
    """Hand edits kept beside the owner's version: ``stopped`` by ``pydock stop``; ``restart`` counts
    ``pydock restart`` (a container whose recorded count is lower is restarted once)."""

    stopped: bool = False
    restart: int = 0


class Desired(msgspec.Struct, frozen=True, gc=False):
    """One object as desired. ``uid`` keys it; ``generation`` counts spec changes; ``revision`` is the
    resourceVersion of its last change; times are Unix seconds; ``deleting_at`` not None means terminating, and
    ``deleting_grace`` then is the seconds to stop in that the deletion asked for (None: the spec's). ``note`` is what
    the owner's source has to say of the object."""

    key: Key
    uid: str
    generation: int
    revision: int
    created_at: float
    labels: dict[str, str]
    annotations: dict[str, str]
    spec: dict[str, Any]
    owner: Owner
    deleting_at: float | None = None
    finalizers: tuple[str, ...] = ()
    override: Override = Override()
    deleting_grace: float | None = None
    note: SourceNote | None = None


def may_take_over(annotations: Mapping[str, str], live: Desired) -> bool:
    """Whether a document with these annotations takes the object over from its owner. It says so itself, and the
    owner's version does not: so two that say so do not take it from each other for ever."""
    return annotations.get(TAKE_OVER) == "true" and live.annotations.get(TAKE_OVER) != "true"
