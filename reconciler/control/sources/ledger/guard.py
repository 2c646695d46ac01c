"""How much a source may remove on its own.

Within 30 s, at most half of what it held, or four objects, may go; what would be more waits until it is acknowledged.
Two counts are kept, and either holds: of the objects that were there when the window began, and of all that were there
at any time in it (so that what was created and deleted again within the window counts too).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from reconciler.control.sources.ledger import facts
from reconciler.model.keys import Key
from reconciler.model.view import Moment

WINDOW = 30.0
#: fewer than this may always go
LEAST = 5


class Verdict(NamedTuple):
    """``gone`` of ``base`` objects would have gone within the window."""

    holds: bool
    gone: int
    base: int


def judge(
    in_force: Mapping[Key, facts.Holding], due: Collection[Key], removed: Iterable[facts.Removed], now: Moment
) -> Verdict:
    """Whether removing ``due`` would be too much; ``removed`` is what went before."""
    recent = within(removed, now)
    fresh_held = sum(1 for holding in in_force.values() if is_fresh(holding, now))
    fresh_due = sum(1 for key in due if is_fresh(in_force[key], now))
    fresh_gone = sum(1 for removal in recent if removal.fresh)
    old_base = len(in_force) - fresh_held + len(recent) - fresh_gone
    old = _verdict(len(due) - fresh_due + len(recent) - fresh_gone, old_base)
    return old if old.holds else _verdict(len(due) + len(recent), len(in_force) + len(recent))


def _verdict(gone: int, base: int) -> Verdict:
    return Verdict(gone >= LEAST and gone * 2 > base, gone, base)


def within(removed: Iterable[facts.Removed], now: Moment) -> tuple[facts.Removed, ...]:
    """Those of the last 30 s. After a reboot nobody knows how long ago it was: they count as of now."""
    ours = (
        each if each.boot_id == now.boot_id else facts.Removed(now.boot_id, now.mono, each.key, each.fresh)
        for each in removed
    )
    return tuple(each for each in ours if now.mono - each.mono < WINDOW)


def is_fresh(holding: facts.Holding, now: Moment) -> bool:
    """Created within the window."""
    return now.wall - holding.created_at < WINDOW
