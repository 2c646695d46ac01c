"""Container: one container, with its process, its file system and its place in networks."""

from __future__ import annotations

from reconciler.kinds.base.kind import Pure
from reconciler.kinds.container import plan, refs, runs, show, verdict
from reconciler.kinds.container.observed import ContainerObserved

PURE = Pure(
    observed=ContainerObserved,
    plan=plan.plan,
    agrees=plan.agrees,
    verdict=verdict.verdict,
    conditions=verdict.conditions,
    show=show.show,
    refs=refs.refs,
    uses=refs.uses,
    orders=refs.orders,
    images=refs.images,
    facts=runs.facts,
    this_boot=runs.this_boot,
)
