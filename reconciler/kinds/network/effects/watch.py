"""What tells of changes around a network."""

from __future__ import annotations

from reconciler.engine.effects import Watched
from reconciler.engine.parts import Parts
from reconciler.kinds.network.effects import config
from reconciler.kinds.network.observed import NetworkObserved
from reconciler.model.view import Entry


def watch(parts: Parts, entry: Entry) -> Watched:
    """Its bridge and its rules, once they are made."""
    observed = entry.observed
    if not isinstance(observed, NetworkObserved) or not observed.created or observed.effective is None:
        return Watched()
    return Watched(network=config.network(entry.desired.uid, observed, observed.effective))
