"""Image: an image that is kept on the host."""

from __future__ import annotations

from reconciler.kinds.base.kind import Pure
from reconciler.kinds.image import plan, refs, show, verdict
from reconciler.kinds.image.observed import ImageObserved

PURE = Pure(
    observed=ImageObserved,
    plan=plan.plan,
    agrees=plan.agrees,
    verdict=verdict.verdict,
    conditions=verdict.conditions,
    show=show.show,
    refs=refs.refs,
    users=refs.users,
    images=refs.images,
)
