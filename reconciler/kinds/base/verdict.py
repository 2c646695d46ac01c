"""What an object's status says: phase and the condition Ready."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from reconciler.model.objects import Desired
from reconciler.model.observed import Observed
from reconciler.model.plan import Step, Wait


class Verdict(NamedTuple):
    """``reason`` and ``message`` are those of the condition Ready."""

    phase: str
    ready: bool
    reason: str
    message: str = ""


class Case(NamedTuple):
    """What a verdict is made from: ``steps`` and ``waits`` are the object's own, ``planned`` the ids of all steps."""

    desired: Desired
    observed: Observed
    steps: Sequence[Step]
    waits: Sequence[Wait]
    planned: frozenset[str]


def unready(phase: str, waits: Sequence[Wait], reason: str) -> Verdict:
    """Not ready, for the first of ``waits`` or else for ``reason``."""
    if waits:
        return Verdict(phase, False, waits[0].reason, waits[0].message)
    return Verdict(phase, False, reason)
