"""Desired state: the objects as their owners wrote them.

``gc=False`` here and elsewhere: records hold no cycles, so the collector need not visit 10,000 objects each time.
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
    """Who holds an object. ``source`` is ``dir:/etc/pydock.d``, ``api``, ``builtin`` or ``object``; ``item`` is the
    file's path relative to the directory, the API manager's name, or the uid of the object that made this one, whose
    key is ``name``."""

    source: str
    item: str
    name: str = ""

    def __str__(self) -> str:
        if self.source.startswith("dir:"):
            return f"{self.source}/{self.item}"
        if self.source == OBJECT:
            return self.name or f"the object {self.item}"
        return f"{self.source} manager {self.item!r}"

    def is_object(self, uid: str) -> bool:
        """Whether the object with that uid has made it."""
        return self.source == OBJECT and self.item == uid


class Document(msgspec.Struct, frozen=True):
    """One validated manifest: what the user wrote, guarded and checked against its schema."""

    key: Key
    labels: dict[str, str]
    annotations: dict[str, str]
    spec: dict[str, Any]


class SourceNote(msgspec.Struct, frozen=True, gc=False):
    """Why the object differs from the file that holds it: what its condition ``Source`` says, and since when (Unix
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
    """One object as desired. ``uid`` keys it; ``generation`` counts spec changes; ``revision`` is the resourceVersion
    of its last change; times are Unix seconds; ``deleting_at`` is set while it is terminating; ``deleting_grace`` is
    then the number of seconds that the deletion gave it to stop (None: the spec's). ``note`` is what the owner's source
    says about the object."""

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
    """Whether a document with these annotations takes the object over from its owner. The document must say so, and the
    owner's version must not: otherwise two of them would take it from each other for ever. Nothing is taken from an
    object, which would only make it again."""
    if live.owner.source == OBJECT:
        return False
    return annotations.get(TAKE_OVER) == "true" and live.annotations.get(TAKE_OVER) != "true"
