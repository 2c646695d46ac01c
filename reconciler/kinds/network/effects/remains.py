"""What a crash may leave of networks that the store does not know."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from reconciler.engine.effects import Remains
from reconciler.engine.parts import Parts
from reconciler.model import names
from reconciler.model.view import Entry


def remains(parts: Parts) -> Callable[[list[Entry]], Remains]:
    """Bridges with their rules."""
    networks, _ = parts.network.list()

    def strange(entries: list[Entry]) -> Remains:
        uids = {entry.desired.uid for entry in entries}
        return [
            (f"network {uid}", partial(parts.network.remove_network, uid, names.bridge(parts.instance, uid)))
            for uid in sorted(set(networks) - uids)
        ]

    return strange
