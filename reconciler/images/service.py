"""What the image service works with, put together by the composition root."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from reconciler.drivers.graph.base import Graph, GraphDriver
from reconciler.drivers.registry.base import Registry
from reconciler.images.leftovers import Leftovers
from reconciler.images.pull_progress import RunningPulls
from reconciler.images.trust import Trust
from reconciler.locks import KeyedLocks
from reconciler.model.collection import Policy
from reconciler.store.base import Store
from reconciler.store.logins import Logins


@dataclass(frozen=True)
class ImageService:
    """``containers()`` are the ids of all containers on the host, known to the store or not; ``now()`` is the Unix
    time. ``logins`` are those that the host keeps for its own pulls. ``policy`` says when images are removed
    automatically, ``trust`` which may be pulled. ``locks`` are held by reference, ``running`` tells how far pulls have
    come, and ``leftovers`` removes what no image needs any more."""

    store: Store
    graph: Graph
    graph_driver: GraphDriver
    registry: Registry
    logins: Logins
    containers: Callable[[], Iterable[str]]
    now: Callable[[], float]
    leftovers: Leftovers
    policy: Policy = field(default_factory=Policy)
    trust: Trust = field(default_factory=Trust)
    locks: KeyedLocks = field(default_factory=KeyedLocks)
    running: RunningPulls = field(default_factory=RunningPulls)
