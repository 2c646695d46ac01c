"""Objects that own objects: what they declare is made, what they no longer declare goes, and all goes with them.

An owning kind calls ``keep`` in its plan with what it wants, and ``give_up`` when it is deleted. What it made refers to
it by its uid, so that the view of the owner holds them (``Pure.users`` names ``uid_target(uid)``), and that one whose
owner is gone withdraws itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from reconciler.kinds.base.context import Context
from reconciler.kinds.base.sequence import Sequence
from reconciler.model.keys import Key
from reconciler.model.objects import OBJECT
from reconciler.model.tasks import Declare, Purge, Withdraw
from reconciler.model.view import Entry


class Wanted(NamedTuple):
    """One object that the owner wants."""

    key: Key
    spec: dict[str, Any]
    labels: dict[str, str]


def owned(context: Context, owner: Entry) -> list[Entry]:
    """The live objects that it has made, by key."""
    found = (entry for entry in context.view.live.values() if _is_of(entry, owner))
    return sorted(found, key=lambda entry: entry.desired.key)


def keep(context: Context, owner: Entry, steps: Sequence, wanted: Iterable[Wanted]) -> None:
    """Declares what is missing or different, and withdraws what is not wanted any more."""
    present = {entry.desired.key: entry for entry in owned(context, owner)}
    for want in wanted:
        there = present.pop(want.key, None)
        if there is None:
            steps.add(Declare(want.key, want.spec, want.labels), f"{want.key} is missing", about=want.key)
        elif (there.desired.spec, there.desired.labels) != (want.spec, want.labels):
            steps.add(Declare(want.key, want.spec, want.labels), f"{want.key} has changed", about=want.key)
    for key in present:
        steps.add(Withdraw(key), f"{key} is not wanted any more", about=key)


def give_up(context: Context, owner: Entry, steps: Sequence, cause: str) -> None:
    """Withdraws all that it has made; it goes itself once they are gone."""
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
    found = entry.desired.owner
    return found.source == OBJECT and found.item == owner.desired.uid
