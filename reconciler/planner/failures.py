"""What a failed step leaves in the observed state of its object, whatever its kind."""

from __future__ import annotations

from reconciler.kinds import table
from reconciler.kinds.base import retry
from reconciler.model.observed import Observed
from reconciler.model.view import Entry, Moment


def after_error(
    entry: Entry, message: str, now: Moment, action: str = "", delay: float = 0.0, final: bool = False
) -> Observed:
    """The entry's observed state with a failed step noted; see ``retry.noted``."""
    return retry.noted(this_boot(entry, now), entry.desired, message, now, action, delay, final)


def this_boot(entry: Entry, now: Moment) -> Observed:
    """The entry's observed state as it is to be read in this boot."""
    return table.pure(entry.desired.key.kind).this_boot(table.observed_of(entry), now)
