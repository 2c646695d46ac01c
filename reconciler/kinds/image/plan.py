"""The plan of one Image object."""

from __future__ import annotations

from reconciler.kinds.base.context import Context, Outcome
from reconciler.kinds.base.sequence import Sequence
from reconciler.kinds.container import runs
from reconciler.kinds.container.tasks import Remove
from reconciler.kinds.image import keepers, refresh
from reconciler.kinds.image.observed import ImageObserved
from reconciler.kinds.image.tasks import Untag
from reconciler.model import kinds, platforms, references
from reconciler.model.objects import Desired
from reconciler.model.view import Entry, ImageFacts


def plan(context: Context, entry: Entry) -> Outcome:
    return _removal(context, entry) if entry.desired.deleting_at is not None else _upkeep(context, entry)


def agrees(context: Context, entry: Entry) -> bool:
    """Whether a live Image object surely needs nothing. False only means that it must be planned for."""
    desired = entry.desired
    reference = context.reference(str(desired.spec["reference"]))
    facts = context.view.images.get(reference)
    if facts is None or not refresh.FIELDS.isdisjoint(desired.spec):
        return False
    return _recorded(entry) in ("", reference) and platforms.same_machine(facts.platform, context.view.platform)


def leaving(entry: Entry) -> str:
    """The reference whose image may be removed: that of an object which is being deleted, or the former one of an
    object that now names another. Empty: none."""
    former, now = _recorded(entry), references.normalised(str(entry.desired.spec["reference"]))
    if entry.desired.deleting_at is not None:
        return former or now
    return former if former != now else ""


def _upkeep(context: Context, entry: Entry) -> Outcome:
    sequence = Sequence(context, entry)
    reference = context.reference(str(entry.desired.spec["reference"]))
    rival = _rival(context, entry, reference)
    if rival is None:
        _bring(context, entry, reference, sequence)
    elif refresh.range_of(rival.desired) != refresh.range_of(entry.desired):
        follows = refresh.range_of(rival.desired) or "its tag"
        message = f"{rival.desired.key} keeps {reference} for {follows}: give one of the two another reference"
        sequence.wait("RangeConflict", message, (rival.desired.key,))
    else:
        platform = rival.desired.spec.get("platform") or context.view.platform
        message = f"{rival.desired.key} keeps {reference} for {platform}: name one of the two by its digest"
        sequence.wait("PlatformConflict", message, (rival.desired.key,))
    former = _recorded(entry)
    if former and former != reference:
        _untag(context, entry, former, f"its reference has changed to {reference}", sequence)
    return sequence.outcome()


def _rival(context: Context, entry: Entry, reference: str) -> Entry | None:
    """The Image object that keeps the same reference for another platform or range, if it comes before this one."""
    keeper = keepers.keeper(context, reference)
    if keeper is None or keeper.desired.uid == entry.desired.uid:
        return None
    theirs, ours = (str(each.desired.spec.get("platform") or context.view.platform) for each in (keeper, entry))
    return keeper if theirs != ours or refresh.range_of(keeper.desired) != refresh.range_of(entry.desired) else None


def _bring(context: Context, entry: Entry, reference: str, sequence: Sequence) -> None:
    """The image as the object wants it: by platform, by pull policy, by update policy."""
    desired, observed = entry.desired, refresh.image_observed(entry)
    facts = context.view.images.get(reference)
    platform = str(desired.spec.get("platform") or context.view.platform)
    fits = facts is not None and platforms.same_machine(facts.platform, platform) and not _other_variant(entry)
    if facts is None or not fits:
        lack = refresh.lack(reference, refresh.range_of(desired))
        if facts is not None:
            lack = f"the image {reference} that is here is for {facts.platform}, wanted is {platform}"
        if refresh.policy(desired) == "Never":
            sequence.wait("ErrImageNeverPull", f"{lack}, and pullPolicy is Never")
        else:
            keepers.pull(context, entry, sequence, reference, lack, facts.digest if facts is not None else "")
        return
    unknown = refresh.range_of(desired) and observed.asked_generation != desired.generation
    soft = refresh.policy(desired) != "Always" and not unknown
    if refresh.moved(facts, observed.latest) and (refresh.follows(desired) or refresh.asks_anew(desired, reference)):
        if not (soft and sequence.again_after_failure("pull")):
            keepers.pull(context, entry, sequence, reference, _news(desired, facts, observed), facts.digest)
        return
    left = refresh.due(entry, reference, context.now)
    if left is None or (left == 0 and soft and sequence.again_after_failure("check")):
        return
    if left:
        sequence.again("NextCheck", "its registry is asked again", context.now.mono + left)
    else:
        keepers.check(context, sequence, reference, _why(entry))


def _news(desired: Desired, facts: ImageFacts, observed: ImageObserved) -> str:
    wanted, then = refresh.range_of(desired), facts.index_digest or facts.digest
    if wanted:
        return f"{observed.latest_tag} ({observed.latest}) is the highest version in {wanted}, not {then}"
    return f"its tag has moved from {then} to {observed.latest}"


def _other_variant(entry: Entry) -> bool:
    """Whether a platform with a variant was written since the registry was asked: only the pull tells what it gives."""
    written = str(entry.desired.spec.get("platform") or "")
    return written.count("/") > 1 and refresh.image_observed(entry).asked_generation != entry.desired.generation


def _why(entry: Entry) -> str:
    """Why the registry is asked."""
    desired = entry.desired
    if (
        refresh.image_observed(entry).asked_generation != desired.generation
        and refresh.policy(desired) != "IfNotPresent"
    ):
        return f"its pullPolicy is {refresh.policy(desired)}, and it is new or has changed"
    if refresh.range_of(desired) and refresh.image_observed(entry).asked_generation != desired.generation:
        return f"its updatePolicy is for {refresh.range_of(desired)}, and it is new or has changed"
    return f"its updatePolicy asks every {desired.spec['updatePolicy'].get('interval') or refresh.DEFAULT_INTERVAL}"


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
    sequence.add(Untag(reference=reference, keep=keep), reason, after=after)


def _recorded(entry: Entry) -> str:
    return entry.observed.reference if isinstance(entry.observed, ImageObserved) else ""


def _kept(context: Context, entry: Entry, reference: str) -> bool:
    """Whether the image stays: it is not here in any case, or a live Image object or container needs it."""
    facts = context.view.images.get(reference)
    if facts is None:
        return True
    others = (other for other in context.live(kinds.IMAGE.name) if other.desired.uid != entry.desired.uid)
    if any(context.reference(str(other.desired.spec["reference"])) == reference for other in others):
        return True
    return any(
        context.reference(str(user.desired.spec["image"])) == reference
        or (seen.incarnation is not None and seen.incarnation.image_id == facts.image_id)
        for user, seen in runs.observed_all(context.live(kinds.CONTAINER.name))
    )


def _removals(context: Context, reference: str, sequence: Sequence) -> list[str] | None:
    """The removals of terminating containers made from the image; None, with a wait, when one of them is stuck."""
    facts = context.view.images[reference]
    after = []
    for user, seen in runs.observed_all(context.terminating(kinds.CONTAINER.name)):
        if seen.incarnation is not None and seen.incarnation.image_id == facts.image_id:
            removal = context.outcome(user).find(Remove)
            if removal is None:
                sequence.wait("InUse", f"used by {user.desired.key}, which is being removed", (user.desired.key,))
                return None
            after.append(removal.id)
    return after
