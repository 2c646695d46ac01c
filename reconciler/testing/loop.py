"""The whole middle of pydock on drivers in memory: store, Engine, observer and reconcile loop, without a thread.

``settle()`` runs the loop until nothing is due; what waits for a deadline is brought about by ``pass_time``.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import msgspec

from reconciler.control.observer import Observer
from reconciler.control.reconcile import Reconciler
from reconciler.drivers.graph.base import Graph, GraphDriver
from reconciler.drivers.registry.base import Registry
from reconciler.engine.engine import Engine
from reconciler.engine.job import Job
from reconciler.engine.parts import Clock, Parts
from reconciler.engine.table import steps
from reconciler.images.leftovers import Leftovers
from reconciler.images.service import ImageService
from reconciler.jobs import table
from reconciler.kinds.container.observed import ContainerObserved
from reconciler.model.jobs import EventRecord, JobRecord
from reconciler.model.keys import Key
from reconciler.model.view import DEFAULT_NETWORK, Entry, Moment
from reconciler.store.base import Store
from reconciler.store.logins import Logins
from reconciler.testing import exec_fake, graph_fake, images, network_fake, registry_fake
from reconciler.testing import store as stores

IMAGE = "registry.example/web:1"
#: more looks than any test needs: a loop that does not come to rest
_TOO_MANY = 400


class TestClock(Clock):
    """The real clock, moved on by ``ahead`` seconds."""

    __test__ = False

    def __init__(self) -> None:
        super().__init__()
        self.ahead = 0.0

    def now(self) -> Moment:
        moment = super().now()
        return Moment(mono=moment.mono + self.ahead, wall=moment.wall + self.ahead, boot_id=self.boot)


class Loop:
    """One controller without threads, on a store in memory unless given another; ``looks`` counts how often the loop
    looked at each key."""

    def __init__(self, scratch: Path, store: Store | None = None) -> None:
        self.world = exec_fake.World(lifelike=True)
        self.exec = exec_fake.FakeExec(self.world)
        self.network = network_fake.FakeNetwork("test")
        self.graph = graph_fake.FakeGraph()
        self.snapshots = graph_fake.FakeGraphDriver(self.graph, scratch)
        self.registry = registry_fake.FakeRegistry()
        self.registry.add(IMAGE, images.build([b"layer of web"], {"Cmd": ["serve"]}))
        self.store: Store = store or stores.memory_store()
        self.clock = TestClock()
        logins = Logins(scratch)
        service = ImageService(
            store=self.store, graph=self.graph, graph_driver=self.snapshots, registry=self.registry, logins=logins,
            containers=self.exec.list, now=lambda: self.clock.now().wall, leftovers=Leftovers(self.store, self.graph),
        )  # fmt: skip
        self.parts = Parts(
            instance="test", log_dir=str(scratch / "logs"), store=self.store, exec=self.exec, graph=self.graph,
            graph_driver=self.snapshots, network=self.network, registry=self.registry, sources=[], version={},
            clock=self.clock, logins=logins, images=service,
        )  # fmt: skip
        self.engine = Engine(self.parts, table.handlers(), steps())
        self.reconciler = Reconciler(self.parts, self.engine, Observer(self.parts), 1, lambda key, entries: None)
        self.parts.look = self.reconciler.look
        self.looks: dict[Key, int] = {}

    def close(self) -> None:
        self.network.close()
        self.store.close()

    def set_images(self, **changes: Any) -> None:
        """Another image service: one with these fields changed."""
        self.parts.images = dataclasses.replace(self.parts.images, **changes)

    def use(self, graph: Graph, driver: GraphDriver, registry: Registry | None = None) -> None:
        """Other drivers than those in memory."""
        self.parts.graph, self.parts.graph_driver = graph, driver
        self.parts.registry = registry or self.parts.registry
        self.set_images(
            graph=graph, graph_driver=driver, registry=self.parts.registry, leftovers=Leftovers(self.store, graph)
        )

    # what people do

    def ask(self, job: str, **args: Any) -> Any:
        return self.engine.run(Job(job, args=args))

    def stream(self, job: str, **args: Any) -> list[Any]:
        """The items of a streaming job, as the API process gets them."""
        items: list[Any] = []
        self.engine.run(Job(job, args=args, emit=lambda item: items.append(plain(item))))
        return items

    def listed(self, kind: str, **args: Any) -> list[dict[str, Any]]:
        """The objects of one answer of the job ``list``."""
        _, *pieces = self.stream("list", kind=kind, **args)
        return [item for piece in pieces for item in piece]

    def apply(self, document: dict[str, Any], manager: str = "test") -> Any:
        """As ``pydock apply`` does, and the loop afterwards."""
        answer = self.ask("apply", document=document, manager=manager)
        self.settle()
        return answer

    def delete(self, key: Key) -> Any:
        answer = self.ask("delete", kind=key.kind, namespace=key.namespace, name=key.name)
        self.settle()
        return answer

    def settle(self) -> None:
        """Looks at whatever asks for it, until nothing does. Fails when that never ends."""
        for _ in range(_TOO_MANY):
            key = self.reconciler.queue.take(timeout=0)
            if key is None:
                return
            self.looks[key] = self.looks.get(key, 0) + 1
            self.reconciler.reconcile(key)
            self.reconciler.queue.done(key)
        raise AssertionError(f"the loop does not come to rest: {self.looks}")

    def look(self, key: Key, closely: bool = False) -> None:
        self.reconciler.look([key], closely)
        self.settle()

    def pass_time(self, seconds: float) -> None:
        """Lets time pass, and the loop look at all that waited for a deadline."""
        self.clock.ahead += seconds
        self.reconciler.look(list(self.reconciler.queue.pending()))
        self.settle()

    # what is there

    def entry(self, key: Key) -> Entry:
        """The live object of that name."""
        with self.store.snapshot() as session:
            return next(entry for entry in session.entries([key]) if entry.desired.deleting_at is None)

    def observed(self, name: str, namespace: str = "default") -> ContainerObserved:
        found = self.entry(container_key(name, namespace)).observed
        assert isinstance(found, ContainerObserved)
        return found

    def ready(self, key: Key) -> tuple[str, str, str]:
        """Status, reason and message of the condition Ready."""
        observed = self.entry(key).observed
        assert observed is not None
        return next((each.status, each.reason, each.message) for each in observed.conditions if each.type == "Ready")

    def exists(self, key: Key) -> bool:
        with self.store.snapshot() as session:
            return bool(session.entries([key]))

    def events(self, key: Key) -> list[EventRecord]:
        with self.store.snapshot() as session:
            return session.events.find(str(key))

    def reasons(self, key: Key) -> list[str]:
        return [event.reason for event in self.events(key)]

    def jobs(self, key: Key) -> list[JobRecord]:
        """Oldest first."""
        with self.store.snapshot() as session:
            return session.journal.find(str(key))[::-1]

    def default_network_exists(self) -> bool:
        return self.exists(DEFAULT_NETWORK)


def plain(item: Any) -> Any:
    """An item as it arrives at the other end of the engine socket."""
    return msgspec.json.decode(msgspec.json.encode(item))


def container_key(name: str, namespace: str = "default") -> Key:
    return Key("Container", namespace, name)


def container(name: str, *, namespace: str = "default", image: str = IMAGE, **spec: Any) -> dict[str, Any]:
    """A container's manifest; fields of its spec as keywords."""
    return {
        "apiVersion": "pydock.dev/v1", "kind": "Container", "metadata": {"name": name, "namespace": namespace},
        "spec": {"image": image, **spec},
    }  # fmt: skip


def network(name: str, *, namespace: str = "default", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "pydock.dev/v1", "kind": "Network", "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }  # fmt: skip
