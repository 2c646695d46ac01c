"""Following objects for as long as a caller wants: list, then watch, then again where a watch ends."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from reconciler import errors
from reconciler.client import client as api
from reconciler.client import http
from reconciler.model import kinds

#: a watch that ends sooner than this, in seconds, is not begun again at once
_SHORTEST = 0.2


def follow(
    client: api.Client,
    kind: kinds.Kind,
    namespace: str = "",
    labels: str = "",
    fields: str = "",
    deadline: float | None = None,
    *,
    progress: bool = False,
) -> Iterator[api.Event]:
    """The present objects as ADDED, then a BOOKMARK without object, then every change, until ``deadline`` (monotonic).

    What a watch missed (the server compacted its changes, or was restarted) is made good by listing again:
    the caller sees MODIFIED and DELETED as if it had been there. ``progress`` as for ``Client.watch``.
    """
    known: dict[str, api.Object] = {}
    while True:
        listing = client.list(kind, namespace, labels, fields)
        yield from _differences(known, listing.items)
        yield api.Event("BOOKMARK", {})
        revision = listing.revision
        try:
            while deadline is None or time.monotonic() < deadline:
                begun = time.monotonic()
                left = None if deadline is None else deadline - begun
                for event in _until_cut(
                    client.watch(kind, namespace, labels, fields, revision, left, progress=progress)
                ):
                    revision = event.object["metadata"]["resourceVersion"]
                    if event.type != "BOOKMARK":
                        _remember(known, event)
                        yield event
                if time.monotonic() - begun < _SHORTEST:
                    time.sleep(_SHORTEST)
            return
        except errors.Expired:
            continue


def _until_cut(events: Iterator[api.Event]) -> Iterator[api.Event]:
    """``events``; a stream that the server's end cut off half-way ends here like one that was closed properly."""
    with contextlib.suppress(http.Cut):
        yield from events


def _remember(known: dict[str, api.Object], event: api.Event) -> None:
    uid = _identity(event.object)
    if event.type == "DELETED":
        known.pop(uid, None)
    else:
        known[uid] = event.object


def _identity(obj: api.Object) -> str:
    """The uid, or the name of what nobody defined and that has none."""
    metadata = obj["metadata"]
    return str(metadata.get("uid") or f"{metadata.get('namespace', '')}/{metadata['name']}")


def _differences(known: dict[str, api.Object], present: list[api.Object]) -> Iterator[api.Event]:
    """The events that lead from ``known`` to ``present``; ``known`` is brought up to date."""
    now = {_identity(obj): obj for obj in present}
    for uid in [uid for uid in known if uid not in now]:
        yield api.Event("DELETED", known.pop(uid))
    for uid, obj in now.items():
        before = known.get(uid)
        if before is None:
            yield api.Event("ADDED", obj)
        elif before["metadata"]["resourceVersion"] != obj["metadata"]["resourceVersion"]:
            yield api.Event("MODIFIED", obj)
        known[uid] = obj
