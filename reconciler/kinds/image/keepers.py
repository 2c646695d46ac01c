"""Who keeps an image, who waits for it, and the steps that several objects share because of it."""

from __future__ import annotations

from reconciler.kinds.base.context import Context
from reconciler.kinds.base.sequence import Sequence
from reconciler.kinds.image import refresh
from reconciler.kinds.image.tasks import Check, Pull
from reconciler.model import kinds
from reconciler.model.view import Entry


def keeper(context: Context, reference: str) -> Entry | None:
    """The live Image object that keeps the (normalised) reference; the first by name if several do."""
    return context.once("keepers", lambda: _by_reference(context)).get(reference)


def pull(
    context: Context, entry: Entry, steps: Sequence, reference: str, cause: str = "", replaces: str = "", *,
    own: bool = False,
) -> None:  # fmt: skip
    """A step shared by all that need the image; it belongs to the Image object that keeps the reference, if there is
    one that may pull, and with ``own`` to this object. ``replaces`` is the digest of an image that is here and is not
    the wanted one.
    """
    kept = keeper(context, reference)
    may = kept is not None and refresh.policy(kept.desired) != "Never"
    owner = kept.desired if kept is not None and may and not own else entry.desired
    platform = str(kept.desired.spec.get("platform") or "") if kept is not None else ""
    wanted = range_of(context, reference)
    id = f"pull {reference} for {owner.key}" if own else f"pull {reference}"
    task = Pull(reference=reference, platform=platform, replaces=replaces, range=wanted)
    steps.share(id, task, owner, cause or refresh.lack(reference, wanted))


def check(context: Context, steps: Sequence, reference: str, cause: str) -> None:
    """Asks the registry what the reference means now."""
    steps.add(Check(reference=reference, range=range_of(context, reference)), cause)


def range_of(context: Context, reference: str) -> str:
    """The range of versions that the reference stands for here; empty: it is a tag."""
    kept = keeper(context, reference)
    return refresh.range_of(kept.desired) if kept is not None else ""


def _by_reference(context: Context) -> dict[str, Entry]:
    found = reversed(context.live(kinds.IMAGE.name))
    return {context.reference(str(entry.desired.spec["reference"])): entry for entry in found}
