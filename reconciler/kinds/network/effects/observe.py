"""What is true of a network now."""

from __future__ import annotations

import msgspec

from reconciler.engine.parts import Parts
from reconciler.kinds.network.effects import config
from reconciler.kinds.network.observed import NetworkObserved
from reconciler.model.view import Entry


def observe(parts: Parts, entry: Entry, closely: bool) -> bool:
    """Bridge, address and rules, where asked ``closely``: they do not change by themselves."""
    uid, observed = entry.desired.uid, entry.observed
    if not closely or not isinstance(observed, NetworkObserved) or not observed.created or observed.effective is None:
        return False
    found, _ = parts.network.drift([config.network(uid, observed, observed.effective)], [])
    seen = msgspec.structs.replace(observed, drift=found.get(uid, ()), boot_id=parts.clock.boot)
    if seen != observed:
        with parts.store.transaction(durable=False) as session:
            session.observed.put(uid, seen)
    return seen != observed
