"""What handlers work with: the store, the drivers and a few facts, put together by the composition root."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from reconciler.drivers.exec.base import ExecDriver
from reconciler.drivers.graph.base import Graph, GraphDriver
from reconciler.drivers.network.base import NetworkDriver
from reconciler.drivers.registry.base import Registry
from reconciler.engine.answers import Room
from reconciler.images.service import ImageService
from reconciler.model.keys import Key
from reconciler.model.view import Moment
from reconciler.store.base import Store
from reconciler.store.logins import Logins


class SourceStatus(Protocol):
    """The sources of manifests as jobs see them (``control.sources.manager``)."""

    def status(self) -> list[dict[str, Any]]: ...

    def ack(self, name: str, digest: str) -> list[str]: ...

    def wanting(self, key: Key) -> str: ...


def boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


class Clock:
    """The moment as the planner wants it. CLOCK_BOOTTIME is no subject of anybody's clock setting."""

    def __init__(self) -> None:
        self.boot = boot_id()

    def now(self) -> Moment:
        return Moment(mono=time.clock_gettime(time.CLOCK_BOOTTIME), wall=time.time(), boot_id=self.boot)


@dataclass
class Parts:
    """``log_dir`` holds one directory an object's uid; ``look`` asks the loop to look at objects again (set by the
    loop); ``ready`` turns true after the first plan. ``fresh`` names incarnations whose snapshot and endpoint were made
    by this process just now, so that the start that follows need not make sure of them again.
    ``logins`` are those that the host keeps for its own pulls. ``images`` is the image service;
    ``answers`` bounds what callers have not read yet."""

    instance: str
    log_dir: str
    store: Store
    exec: ExecDriver
    graph: Graph
    graph_driver: GraphDriver
    network: NetworkDriver
    registry: Registry
    logins: Logins
    images: ImageService
    sources: list[SourceStatus]
    version: dict[str, Any]
    clock: Clock = field(default_factory=Clock)
    look: Callable[[list[Key]], None] = lambda keys: None
    commands: Callable[[], list[str]] = list
    ready: threading.Event = field(default_factory=threading.Event)
    fresh: set[str] = field(default_factory=set)
    answers: Room = field(default_factory=Room)
