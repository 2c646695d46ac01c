"""Limits how much a source may remove on its own.

Within 30 s, a source may remove at most half of what it held, or four objects. Anything beyond waits until somebody
acknowledges it. Two counts are kept, and either one may hold removals back: the objects that existed when the window
began, and all that existed at any time during it (so that objects created and deleted within the window count too).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from reconciler.control.sources.ledger import facts
from reconciler.model.keys import Key
from reconciler.model.view import Moment

WINDOW = 30.0
#: fewer objects than this may always be removed
LEAST = 5


class Verdict(NamedTuple):
    """``gone`` of ``base`` objects would have been removed within the window."""

    holds: bool
    gone: int
    base: int


def judge(
    in_force: Mapping[Key, facts.Holding], due: Collection[Key], removed: Iterable[facts.Removed], now: Moment
) -> Verdict:
    """Whether removing ``due`` would be too much; ``removed`` are the removals before."""
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
    """The removals of the last 30 s. After a reboot their age is unknown: they count as if they had just happened."""
    ours = (
        each if each.boot_id == now.boot_id else facts.Removed(now.boot_id, now.mono, each.key, each.fresh)
        for each in removed
    )
    return tuple(each for each in ours if now.mono - each.mono < WINDOW)


def is_fresh(holding: facts.Holding, now: Moment) -> bool:
    """Created within the window."""
    return now.wall - holding.created_at < WINDOW
