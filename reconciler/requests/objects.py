"""Objects of every kind: read, watched, written, planned."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from reconciler.requests.declaration import BASE, COLLECTION, DEFAULT_MANAGER, Access, Ask, Request, named


class Get(Request, frozen=True):
    """One object → ``object``. Of several with one name it is the live one, else the one that has been terminating
    longest."""

    kind: str
    namespace: str
    name: str


class List(Request, frozen=True):
    """The objects of a kind, sorted by namespace and name; ``namespace`` empty means all. ``limit`` bounds the objects
    of one answer (0: no bound); ``continue_`` is the token of the page before. Streams ``{"revision": int, "continue":
    str, "remaining": int}``, then lists of objects. ``continue`` is the token of the next page, empty on the last one;
    ``remaining`` is how many objects are left (-1: not known). An object is shown as it is when its page is read;
    ``revision`` is the first page's, so a watch from there tells of all that changed since. ``Expired`` when those
    changes are no longer kept."""

    kind: str
    namespace: str = ""
    label_selector: str = ""
    field_selector: str = ""
    limit: Annotated[int, msgspec.Meta(ge=0)] = 0
    continue_: Annotated[str, named("continue", max_length=2048)] = ""


class Watch(Request, frozen=True):
    """Changes as they happen. Streams ``{"type": "ADDED"|"MODIFIED"|"DELETED"|"BOOKMARK", "object": object}``.
    ``revision`` 0 sends the present objects as ADDED first. With a selector, an object that begins to match is ADDED,
    and one that no longer matches is DELETED. ``Expired`` when ``revision`` was compacted. ``timeout`` in seconds (0:
    until the caller leaves). With ``progress`` an object whose image is being pulled is repeated as MODIFIED with the
    same resourceVersion and another ``status.progress``."""

    kind: str
    namespace: str = ""
    label_selector: str = ""
    field_selector: str = ""
    revision: Annotated[int, named("resourceVersion", ge=0)] = 0
    timeout: Annotated[float, named("timeoutSeconds", ge=0)] = 0.0
    progress: bool = False


class Write(Request, frozen=True):
    """``document`` is a whole manifest as parsed JSON. ``manager`` names the writer (kubectl's fieldManager). With
    ``dry_run`` nothing changes. → ``{"object": object, "plan": plan, "outcome":
    "created"|"configured"|"unchanged"}``"""

    document: dict[str, Any]
    manager: Annotated[str, named("fieldManager")]
    dry_run: bool = False


class Post(Write, frozen=True):
    """Creates an object; ``Conflict`` when the name is taken."""


class Put(Write, frozen=True):
    """Replaces a whole object; ``metadata.resourceVersion``, when given, must be the present one (``Conflict``)."""


class Apply(Write, frozen=True):
    """Declares one manager's version of an object: keys that its last version had and this one lacks are removed,
    fields that others set stay. ``force`` takes over fields of other managers; without it a ``Conflict`` names them."""

    force: bool = False


class Patch(Request, frozen=True):
    """Applies a JSON merge patch (RFC 7386) to one object. The result is that of ``Write``."""

    kind: str
    namespace: str
    name: str
    patch: dict[str, Any]
    manager: Annotated[str, named("fieldManager")]
    dry_run: bool = False


class Delete(Request, frozen=True):
    """Removes an object → ``{"object": object, "plan": plan}``. ``uid`` and ``revision``, when given, must be the
    present ones. ``grace`` is the seconds that a container gets to stop, in place of its own (None: its own)."""

    kind: str
    namespace: str
    name: str
    manager: str = ""
    uid: str = ""
    revision: str = ""
    grace: Annotated[int, named("gracePeriodSeconds", ge=0)] | None = None
    dry_run: bool = False


class Preview(Request, frozen=True):
    """The plan for applying all ``documents`` together (``delete``: for deleting them).
    → ``{"plan": plan, "text": str}``; ``plan["steps"]`` empty means nothing to do."""

    documents: list[dict[str, Any]]
    manager: str = DEFAULT_MANAGER
    delete: bool = False


_ITEM = f"{COLLECTION}/{{name}}"
ASKS = (
    Ask("get", Get, "GET", _ITEM, Access("get", "{plural}"), "objects.get"),
    Ask("list", List, "GET", COLLECTION, Access("list", "{plural}"), "objects.list_", reply="list"),
    Ask("watch", Watch, "GET", COLLECTION, Access("watch", "{plural}"), "watching.watch", reply="watch"),
    Ask("post", Post, "POST", COLLECTION, Access("create", "{plural}"), "writing.post", reply="written"),
    Ask("put", Put, "PUT", _ITEM, Access("update", "{plural}"), "writing.put", reply="written"),
    Ask("apply", Apply, "PATCH", _ITEM, Access("patch", "{plural}"), "writing.apply", reply="written"),
    Ask("patch", Patch, "PATCH", _ITEM, Access("patch", "{plural}"), "writing.patch", reply="written"),
    Ask("delete", Delete, "DELETE", _ITEM, Access("delete", "{plural}"), "writing.delete", reply="written"),
    Ask("plan", Preview, "POST", f"{BASE}/plans", Access("get", "plans"), "planning.plan", large=True),
)
