"""Remains that are not in the store: what a crash left between a removal and its record."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from reconciler import errors
from reconciler.engine import effects
from reconciler.engine.parts import Parts
from reconciler.images import strays, usage
from reconciler.model import kinds

log = logging.getLogger("pydock.orphans")


def sweep(parts: Parts) -> int:
    """Removes what is left of objects that are not in the store. Returns how many things were removed.

    An empty store beside running containers is no reason to end them: then nothing is removed.
    """
    pickers = [effects.of(kind.name).remains(parts) for kind in reversed(kinds.KINDS)]
    with parts.store.snapshot() as session:
        entries = session.entries()
        first_time = session.changes.latest() == 0
    removals = [removal for pick in pickers for removal in pick(entries)]
    if first_time and removals:
        log.warning(
            "the database is new, but %d things of this instance exist: they are left as they are (%s)",
            len(removals),
            ", ".join(what for what, _ in removals[:5]),
        )
        return 0
    return sum(_try(what, remove) for what, remove in removals)


def sweep_graph(parts: Parts) -> int:
    """Removes blobs and layers that no image needs. Returns how many were removed. To be called only before any job
    runs: a pull records its image last.

    While somebody wants an image that is not here, what an interrupted pull has fetched stays: it is likely to be part
    of that image.
    """
    with parts.store.snapshot() as session:
        if session.changes.latest() == 0 or usage.awaited(session):
            return 0
        blobs, layers = session.images.needed()
        known = set(strays.incarnations(session))
    if set(parts.graph_driver.snapshots()) - known:
        return 0
    removals = [(f"layer {id}", partial(parts.graph.remove_layer, id)) for id in set(parts.graph.layers()) - layers]
    removals += [(f"blob {id}", partial(parts.graph.remove_blob, id)) for id in set(parts.graph.blobs()) - blobs]
    return sum(_try(what, remove) for what, remove in sorted(removals, key=lambda each: each[0], reverse=True))


def _try(what: str, remove: Callable[[], None]) -> int:
    try:
        remove()
    except (errors.PydockError, OSError) as error:
        log.warning("%s is nobody's, but cannot be removed yet: %s", what, error)
        return 0
    log.info("removed %s: nobody's", what)
    return 1
