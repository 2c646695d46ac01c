"""A host of 10,000 containers that all run, with a real store in a file and drivers in memory.

``python -m bench.ten_thousand FILE`` measures on such a store, in a process that has not read it yet, and prints
seconds as JSON: a plan for everything, which finds nothing to do; then one change of each sort, from the request to
agreement; with ``--resync`` also a close look at every object.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from bench.clock import Stopwatch
from reconciler import store
from reconciler.control.observer import Observer
from reconciler.control.reconcile import Reconciler
from reconciler.drivers.exec import base, pids
from reconciler.engine.engine import Engine
from reconciler.engine.handlers import network_config
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.engine.table import TABLE
from reconciler.model.keys import Key
from reconciler.model.objects import Owner
from reconciler.model.observed import ContainerObserved, NetworkObserved
from reconciler.model.view import DEFAULT_NETWORK, ImageFacts
from reconciler.store.base import Session
from reconciler.testing import exec_fake, graph_fake, network_fake, registry_fake

COUNT = 10_000
_IMAGE, _LAYER = "registry.example/web:1", "sha256:" + "c" * 64
_LIMITS = base.Limits(cpu_millis=500, memory=64 << 20, pids=4096)


class Host:
    """Everything of a controller but its threads. ``process``, a live one, stands for those of all containers; 0: there
    are none yet."""

    def __init__(self, path: Path, scratch: Path, process: int = 0) -> None:
        self.world = exec_fake.World(lifelike=True)
        self.network = network_fake.FakeNetwork("bench")
        graph = graph_fake.FakeGraph()
        graph.unpacked[_LAYER] = 1
        self.snapshots = graph_fake.FakeGraphDriver(graph, scratch)
        if process:
            self._revive(process)
        self.parts = Parts(
            instance="bench", log_dir=str(scratch / "logs"), store=store.open_store(path),
            exec=exec_fake.FakeExec(self.world), graph=graph, graph_driver=self.snapshots, network=self.network,
            registry=registry_fake.FakeRegistry(), sources=[], version={},
        )  # fmt: skip
        self.engine = Engine(self.parts, TABLE)
        self.reconciler = Reconciler(self.parts, self.engine, Observer(self.parts), 1, lambda key, entries: None)

    def apply(self, number: int, **spec: Any) -> None:
        """The write, and rounds of the loop until the container has what it asks for."""
        document = {
            "apiVersion": "pydock.dev/v1", "kind": "Container",
            "metadata": {"name": _name(number), "labels": {"app": "web"}}, "spec": {**_spec(number), **spec},
        }  # fmt: skip
        self.engine.run(Job("apply", args={"document": document, "manager": "bench"}))
        self.settle(_key(number))

    def settle(self, key: Key) -> None:
        """Looks at ``key``, and at whatever that asks to be looked at, until nothing is left."""
        todo: Key | None = key
        while todo is not None:
            self.reconciler.reconcile(todo)
            self.reconciler.queue.done(todo)
            todo = self.reconciler.queue.take(timeout=0)

    def close(self) -> None:
        self.network.close()
        self.parts.store.close()

    def _revive(self, process: int) -> None:
        at = (process, pids.start_time(process) or 0)
        facts = base.ProcessFacts(status="running", pid=at[0], pid_start=at[1], started_at=1.0)
        for number in range(COUNT):
            config = base.ContainerConfig(
                id=_id(number), rootfs="", argv=("web",), env=(), cwd="/", user="", hostname="", netns="", log_path=""
            )
            self.world.runs[_id(number)] = exec_fake.FakeRun(config, facts, _LIMITS, at)
            self.snapshots.bases[_id(number)] = (_LAYER,)

    def connect(self) -> None:
        """Gives the network in memory what the store says is there."""
        with self.parts.store.snapshot() as session:
            for entry in session.entries():
                uid, observed = entry.desired.uid, entry.observed
                if isinstance(observed, ContainerObserved):
                    self.network.host.endpoints["bench", uid] = network_config.endpoint(session, uid, observed)
                elif isinstance(observed, NetworkObserved) and observed.effective is not None:
                    made = network_config.network(uid, observed, observed.effective)
                    self.network.host.networks["bench", uid] = made


def build(path: Path) -> None:
    """Makes the store: one container goes through the loop, the others are made after its likeness. This process stands
    for theirs: the stores' users are to be its children."""
    with tempfile.TemporaryDirectory(prefix="pydock-bench-") as scratch:
        host = Host(path, Path(scratch))
        with host.parts.store.transaction() as session:
            facts = ImageFacts(
                reference=_IMAGE, digest="sha256:" + "d" * 64, image_id="sha256:" + "e" * 64, size=1, chain_id=_LAYER,
                cmd=("web",),
            )  # fmt: skip
            session.images.put(facts, [facts.digest, facts.image_id], [_LAYER])
        host.apply(COUNT)
        host.settle(DEFAULT_NETWORK)
        host.settle(_key(COUNT))
        with host.parts.store.transaction() as session:
            _multiply(session)
        plan = host.reconciler.plan_all()
        assert not plan.steps, f"{len(plan.steps)} steps, {plan.steps[:1]}"
        host.close()


def _multiply(session: Session) -> None:
    template = session.objects.live(_key(COUNT))
    assert template is not None
    seen = session.observed.get(template.uid)
    network = session.objects.live(DEFAULT_NETWORK)
    assert isinstance(seen, ContainerObserved)
    assert seen.incarnation is not None
    assert seen.phase == "Running", seen
    assert network is not None
    for number in range(COUNT):
        spec = _spec(number)
        made = session.objects.create(_key(number), {"app": "web"}, {}, spec, Owner("api", "bench"), 1.0)
        effective = msgspec.convert(spec, type(seen.incarnation.effective))
        incarnation = msgspec.structs.replace(seen.incarnation, id=_id(number), written=spec, effective=effective)
        session.observed.put(made.uid, msgspec.structs.replace(seen, incarnation=incarnation, started_at=1.0))
    session.objects.mark_deleting(template.uid, 1.0)
    session.objects.purge(template.uid)


def _id(number: int) -> str:
    return f"{number:016x}"


def _name(number: int) -> str:
    return f"web-{number:05}"


def _key(number: int) -> Key:
    return Key("Container", "default", _name(number))


def _spec(number: int) -> dict[str, Any]:
    return {
        "image": _IMAGE, "args": ["--listen", "80"], "env": [{"name": "NUMBER", "value": str(number)}],
        "resources": {"limits": {"memory": "64Mi", "cpu": "500m"}},
        "ports": [{"containerPort": 80, "hostPort": 20000 + number}], "terminationGracePeriodSeconds": 5,
    }  # fmt: skip


def main(path: Path, resync: bool) -> dict[str, float]:
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="pydock-bench-") as scratch:
        host = Host(path, Path(scratch), os.getppid())
        with Stopwatch() as watch:
            plan = host.reconciler.plan_all()
        assert not plan.steps, plan.steps[:3]
        found["nothing"] = watch.seconds
        with Stopwatch() as watch:
            host.apply(4711, resources={"limits": {"memory": "128Mi"}})
        found["in place"] = watch.seconds
        with Stopwatch() as watch:
            host.apply(815, args=["--listen", "80", "--fast"])
        found["anew"] = watch.seconds
        if resync:
            found["resync"] = _resync(host)
        host.close()
    return found


def _resync(host: Host) -> float:
    host.connect()
    with host.parts.store.snapshot() as session:
        keys = [desired.key for desired in session.objects.find()]
    with Stopwatch() as watch:
        for key in keys:
            host.reconciler.look([key], closely=True)
            host.settle(host.reconciler.queue.take(timeout=0) or key)
    return watch.seconds


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]), "--resync" in sys.argv[2:])))
