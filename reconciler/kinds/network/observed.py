"""What is observed of a network."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from reconciler.kinds.network.spec import NetworkSpec
from reconciler.model.observed import Observed

#: what of a network can be missing or altered
NetworkFacet = Literal["bridge", "address", "rules", "forwarding"]


class NetworkObserved(Observed, frozen=True, gc=False, kw_only=True):
    """``effective`` None: nothing has been made yet. ``subnet`` and ``gateway`` are the ones in use."""

    effective: NetworkSpec | None = None
    written: dict[str, Any] = msgspec.field(default_factory=dict)
    bridge: str = ""
    subnet: str = ""
    gateway: str = ""
    created: bool = False
    drift: tuple[NetworkFacet, ...] = ()
