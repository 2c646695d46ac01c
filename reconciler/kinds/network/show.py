"""The status of a network as the API shows it."""

from __future__ import annotations

from typing import Any

from reconciler.kinds.network.observed import NetworkObserved


def show(observed: NetworkObserved) -> dict[str, Any]:
    return {
        "phase": observed.phase,
        "bridge": observed.bridge or None,
        "subnet": observed.subnet or None,
        "gateway": observed.gateway or None,
    }
