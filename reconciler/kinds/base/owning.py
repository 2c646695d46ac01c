"""Objects that own objects: what they declare is made, what they no longer declare is removed, and everything is
removed with them.

An owning kind calls ``keep`` in its plan with the objects that it wants, and ``give_up`` when it is deleted; its
``Pure.users`` is ``users``, so that its view holds what it has made. Everything else is common to all kinds: an object
whose owner is gone withdraws itself, a change of an owned object wakes its owner, and the API refuses edits of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from reconciler.kinds import table
from reconciler.kinds.base.context import Context
from reconciler.kinds.base.sequence import Sequence
from reconciler.model import refs
from reconciler.model.keys import Key
from reconciler.model.objects import OBJECT
from reconciler.model.observed import Condition
from reconciler.model.tasks import Declare, Purge, Withdraw
from reconciler.model.view import Entry


class Wanted(NamedTuple):
    """One object that the owner wants. ``spec`` is what a manifest would say, and is checked as one."""

    key: Key
    spec: dict[str, Any]
    labels: dict[str, str]


def users(entry: Entry) -> Iterator[str]:
    """The target by which the view of the owner finds what it has made."""
    yield refs.uid_target(entry.desired.uid)


def owned(context: Context, owner: Entry) -> list[Entry]:
    """The live objects that it has made, by key."""
    found = (entry for entry in context.view.live.values() if _is_of(entry, owner))
    return sorted(found, key=lambda entry: entry.desired.key)


def keep(context: Context, owner: Entry, steps: Sequence, wanted: Iterable[Wanted]) -> None:
    """Declares what is missing or different, withdraws what is not wanted any more, and waits for what is not ready."""
    present = {entry.desired.key: entry for entry in owned(context, owner)}
    waiting = []
    for want in wanted:
        spec = table.stored(want.key.kind, want.spec)
        there = present.pop(want.key, None)
        if there is None:
            steps.add(Declare(want.key, spec, want.labels), f"{want.key} is missing", about=want.key)
        elif (there.desired.spec, there.desired.labels) != (spec, want.labels):
            steps.add(Declare(want.key, spec, want.labels), f"{want.key} has changed", about=want.key)
        elif lack := _lack(there):
            waiting.append((want.key, lack))
    for key in present:
        steps.add(Withdraw(key), f"{key} is not wanted any more", about=key)
    if waiting:
        told = "; ".join(f"{key}: {lack}" for key, lack in waiting[:5])
        steps.wait("OwnedObjectsNotReady", told, tuple(key for key, _ in waiting))


def _lack(entry: Entry) -> str:
    """Why an object is not ready; empty if it is."""
    ready = _ready(entry)
    if ready is None:
        return "not looked at yet"
    if ready.status == "True":
        return ""
    return f"{ready.reason}: {ready.message}" if ready.message else ready.reason


def _ready(entry: Entry) -> Condition | None:
    observed = entry.observed
    if observed is None or observed.observed_generation < entry.desired.generation:
        return None
    return next((each for each in observed.conditions if each.type == "Ready"), None)


def give_up(context: Context, owner: Entry, steps: Sequence, cause: str = "it is being deleted") -> None:
    """Withdraws everything that it has made, and then removes the owner itself."""
    here = owned(context, owner)
    for entry in here:
        steps.add(Withdraw(entry.desired.key), cause, about=entry.desired.key)
    leaving = [
        entry.desired.key
        for entries in context.view.terminating.values()
        for entry in entries
        if _is_of(entry, owner)
    ]  # fmt: skip
    if leaving:
        steps.wait("OwnedObjectsLeaving", "being removed: " + ", ".join(map(str, leaving[:5])), tuple(leaving))
    elif not here:
        steps.add(Purge(), cause)


def is_orphan(context: Context, entry: Entry) -> bool:
    """Whether it was made by an object that is gone, or is going."""
    owner = entry.desired.owner
    return owner.source == OBJECT and owner.item not in context.view.owners


def _is_of(entry: Entry, owner: Entry) -> bool:
    return entry.desired.owner.is_object(owner.desired.uid)
