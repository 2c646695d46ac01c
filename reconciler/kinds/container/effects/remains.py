"""What a crash may leave of containers that the store does not know."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from reconciler.drivers.network.base import EndpointConfig
from reconciler.engine.effects import Remains
from reconciler.engine.parts import Parts
from reconciler.kinds.container import runs
from reconciler.model.view import Entry


def remains(parts: Parts) -> Callable[[list[Entry]], Remains]:
    """Incarnations (process, cgroup, snapshot) and endpoints."""
    incarnations = set(parts.exec.list()) | set(parts.graph_driver.snapshots())
    _, endpoints = parts.network.list()

    def strange(entries: list[Entry]) -> Remains:
        made = {seen.incarnation.id for _, seen in runs.observed_all(entries) if seen.incarnation is not None}
        uids = {entry.desired.uid for entry in entries}
        found: Remains = [(f"container {id}", partial(_remove, parts, id)) for id in sorted(incarnations - made)]
        for uid in sorted(set(endpoints) - uids):
            found.append((f"endpoint {uid}", partial(parts.network.remove_endpoint, EndpointConfig(uid, ()))))
        return found

    return strange


def _remove(parts: Parts, id: str) -> None:
    parts.exec.delete(id)
    parts.graph_driver.remove(id)
