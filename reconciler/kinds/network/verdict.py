"""What a network's status says."""

from __future__ import annotations

from reconciler.kinds.base.verdict import Case, Verdict, unready
from reconciler.kinds.network.observed import NetworkObserved


def verdict(case: Case) -> Verdict:
    assert isinstance(case.observed, NetworkObserved)
    phase = "Active" if case.observed.created else "Pending"
    if case.waits or not case.observed.created:
        return unready(phase, case.waits, "Pending")
    return Verdict(phase, True, "Active")
