"""Network: a bridge network that containers are in."""

from __future__ import annotations

from reconciler.kinds.base.kind import Pure
from reconciler.kinds.network import plan, refs, show, verdict, wiring
from reconciler.kinds.network.observed import NetworkObserved

PURE = Pure(
    observed=NetworkObserved,
    plan=plan.plan,
    agrees=plan.agrees,
    verdict=verdict.verdict,
    show=show.show,
    users=refs.users,
    revives=True,
    moves_users=plan.moves_users,
    this_boot=wiring.this_boot,
)
