"""The plan of one Image object."""

from __future__ import annotations

from reconciler.model.observed import ImageObserved
from reconciler.model.view import Entry
from reconciler.planner.context import Context, Outcome, normalised
from reconciler.planner.steps import Sequence


def plan(context: Context, entry: Entry) -> Outcome:
    return _removal(context, entry) if entry.desired.deleting_at is not None else _upkeep(context, entry)


def agrees(context: Context, entry: Entry) -> bool:
    """Whether nothing is to be done for a live Image object."""
    reference = context.reference(str(entry.desired.spec["reference"]))
    return reference in context.view.images and _recorded(entry) in ("", reference)


def has_moved(entry: Entry) -> bool:
    """Whether a live Image object now names another reference than the one that was noted for it."""
    former = _recorded(entry)
    return bool(former) and former != normalised(str(entry.desired.spec["reference"]))


def _upkeep(context: Context, entry: Entry) -> Outcome:
    sequence = Sequence(context, entry)
    reference = context.reference(str(entry.desired.spec["reference"]))
    if reference not in context.view.images:
        sequence.pull(reference)
    former = _recorded(entry)
    if former and former != reference:
        _untag(context, entry, former, f"its reference has changed to {reference}", sequence)
    return sequence.outcome()


def _removal(context: Context, entry: Entry) -> Outcome:
    sequence = Sequence(context, entry)
    reference = _recorded(entry) or context.reference(str(entry.desired.spec["reference"]))
    _untag(context, entry, reference, "it is being deleted", sequence)
    return sequence.outcome()


def _untag(context: Context, entry: Entry, reference: str, cause: str, sequence: Sequence) -> None:
    """Forgets the reference, and the image with it unless somebody needs it (``keep``)."""
    keep = _kept(context, entry, reference)
    after = [] if keep else _removals(context, reference, sequence)
    if after is None:
        return
    reason = f"{cause}; the image stays, it is in use" if keep and reference in context.view.images else cause
    sequence.add("untag", reason, args={"reference": reference, "keep": keep}, after=after)


def _recorded(entry: Entry) -> str:
    return entry.observed.reference if isinstance(entry.observed, ImageObserved) else ""


def _kept(context: Context, entry: Entry, reference: str) -> bool:
    """Whether the image is not here anyway, or a live Image object or container needs it."""
    facts = context.view.images.get(reference)
    if facts is None:
        return True
    others = (other for other in context.images() if other.desired.uid != entry.desired.uid)
    if any(context.reference(str(other.desired.spec["reference"])) == reference for other in others):
        return True
    return any(
        context.reference(str(user.desired.spec["image"])) == reference
        or (seen.incarnation is not None and seen.incarnation.image_id == facts.image_id)
        for user, seen in context.containers(terminating=False)
    )


def _removals(context: Context, reference: str, sequence: Sequence) -> list[str] | None:
    """The removals of terminating containers made from the image; None, with a wait, when one of them is stuck."""
    facts = context.view.images[reference]
    after = []
    for user, seen in context.containers(terminating=True):
        if seen.incarnation is not None and seen.incarnation.image_id == facts.image_id:
            removal = context.outcome(user).find("remove")
            if removal is None:
                sequence.wait("InUse", f"used by {user.desired.key}, which is being removed", (user.desired.key,))
                return None
            after.append(removal.id)
    return after
