"""What is on disk and nobody's: blobs and layers that no image has, writable layers of no container.

The disk is read before the store: names are in the store before anything is made, so what is found first and unknown
afterwards is nobody's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from reconciler import errors, failpoints
from reconciler.images.service import ImageService
from reconciler.kinds.container.observed import ContainerObserved
from reconciler.store.base import Session


class Strays(NamedTuple):
    """Names, each with its bytes."""

    snapshots: dict[str, int]
    layers: dict[str, int]
    blobs: dict[str, int]

    def size(self) -> int:
        return sum(sum(each.values()) for each in self)

    def shown(self) -> list[dict[str, Any]]:
        """As ``requests.system.SystemDf`` tells of them."""
        kinds = (("layer", self.layers), ("blob", self.blobs), ("snapshot", self.snapshots))
        return [{"what": what, "name": name, "size": size} for what, found in kinds for name, size in found.items()]


NONE = Strays({}, {}, {})


def find(service: ImageService) -> Strays:
    """Nothing in a new database: what is here was somebody's. While an image is pulled or pushed, or a container that
    the store does not know exists, its layers and blobs are not told apart from those: then only writable layers."""
    snapshots, containers = set(service.graph_driver.snapshots()), set(service.containers())
    blobs, layers = service.leftovers.stray()
    with service.store.snapshot() as session:
        if session.changes.latest() == 0:
            return NONE
        known = incarnations(session).keys()
    if containers - known:
        blobs, layers = [], []
    return Strays(
        {id: service.graph_driver.usage(id) for id in sorted(snapshots - known - containers)},
        {name: _size(service.graph.layer_size, name) for name in layers},
        {name: _size(service.graph.blob_size, name) for name in blobs},
    )


def remove(service: ImageService, found: Strays) -> None:
    """Writable layers first: they stand on the others."""
    failpoints.hit("strays.before")
    for id in found.snapshots:
        service.graph_driver.remove(id)
    service.leftovers.discard((list(found.blobs), list(found.layers)))
    failpoints.hit("strays.after")


def incarnations(session: Session) -> dict[str, tuple[str, bool]]:
    """Incarnation → its container, and whether that runs."""
    return {
        each.observed.incarnation.id: (str(each.desired.key), each.observed.process == "running")
        for each in session.entries()
        if isinstance(each.observed, ContainerObserved) and each.observed.incarnation is not None
    }


def _size(measure: Callable[[str], int], name: str) -> int:
    """It may be damaged, or gone by now."""
    try:
        return measure(name)
    except (errors.PydockError, OSError):
        return 0
