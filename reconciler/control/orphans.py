"""Remains that the store does not know: what a crash left between a removal and its record."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from reconciler import errors
from reconciler.drivers.network.base import EndpointConfig
from reconciler.engine.parts import Parts
from reconciler.images import usage
from reconciler.kinds.container.observed import ContainerObserved
from reconciler.model import names
from reconciler.store.base import Session

log = logging.getLogger("pydock.orphans")


def sweep(parts: Parts) -> int:
    """Removes what is left of containers and networks that the store does not know; how many things went.

    The kernel and the disk are read before the store: names are in the store before anything is made, so what is found
    first and unknown afterwards is nobody's. An empty store beside running containers is no reason to end them: then
    nothing is removed.
    """
    incarnations = set(parts.exec.list()) | set(parts.graph_driver.snapshots())
    networks, endpoints = parts.network.list()
    with parts.store.snapshot() as session:
        known, uids = _known(session)
        first_time = session.changes.latest() == 0
    strange = sorted(incarnations - known)
    if first_time and (strange or networks or endpoints):
        log.warning(
            "the database is new, but %d containers and %d networks of this instance exist: they are left as they are",
            len(strange),
            len(networks),
        )
        return 0
    removals = [(f"container {id}", partial(_remove_incarnation, parts, id)) for id in strange]
    removals += [
        (f"endpoint {uid}", partial(parts.network.remove_endpoint, EndpointConfig(uid, ())))
        for uid in sorted(set(endpoints) - uids)
    ]
    removals += [
        (f"network {uid}", partial(parts.network.remove_network, uid, names.bridge(parts.instance, uid)))
        for uid in sorted(set(networks) - uids)
    ]
    return sum(_try(what, remove) for what, remove in removals)


def sweep_graph(parts: Parts) -> int:
    """Removes blobs and layers that no image needs; how many went. Only before any job runs: a pull records its image
    last.

    What a pull that was cut off had fetched stays as long as somebody wants an image that is not here: it is likely of
    that one.
    """
    with parts.store.snapshot() as session:
        if session.changes.latest() == 0 or usage.awaited(session):
            return 0
        blobs, layers = session.images.needed()
        known, _ = _known(session)
    if set(parts.graph_driver.snapshots()) - known:
        return 0
    removals = [(f"layer {id}", partial(parts.graph.remove_layer, id)) for id in set(parts.graph.layers()) - layers]
    removals += [(f"blob {id}", partial(parts.graph.remove_blob, id)) for id in set(parts.graph.blobs()) - blobs]
    return sum(_try(what, remove) for what, remove in sorted(removals, key=lambda each: each[0], reverse=True))


def _remove_incarnation(parts: Parts, id: str) -> None:
    parts.exec.delete(id)
    parts.graph_driver.remove(id)


def _known(session: Session) -> tuple[set[str], set[str]]:
    entries = session.entries()
    incarnations = {
        entry.observed.incarnation.id
        for entry in entries
        if isinstance(entry.observed, ContainerObserved) and entry.observed.incarnation
    }
    return incarnations, {entry.desired.uid for entry in entries}


def _try(what: str, remove: Callable[[], None]) -> int:
    try:
        remove()
    except (errors.PydockError, OSError) as error:
        log.warning("%s is nobody's, but cannot be removed yet: %s", what, error)
        return 0
    log.info("removed %s: nobody's", what)
    return 1
