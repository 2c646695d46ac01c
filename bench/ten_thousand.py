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
from reconciler.drivers.exec import base, pids
from reconciler.kinds.container.observed import ContainerObserved
from reconciler.kinds.network.effects import config as network_config
from reconciler.kinds.network.observed import NetworkObserved
from reconciler.model.keys import Key
from reconciler.model.objects import Owner
from reconciler.model.view import DEFAULT_NETWORK
from reconciler.store.base import Session
from reconciler.testing import exec_fake
from reconciler.testing.loop import IMAGE, Loop, container, container_key

COUNT = 10_000
_LIMITS = base.Limits(cpu_millis=500, memory=64 << 20, pids=4096)


class Host(Loop):
    """A host that ran already: ``process``, a live one, stands for those of all containers."""

    def __init__(self, scratch: Path, path: Path, process: int) -> None:
        super().__init__(scratch, store.open_store(path))
        at = (process, pids.start_time(process) or 0)
        facts = base.ProcessFacts(status="running", pid=at[0], pid_start=at[1], started_at=1.0)
        for number in range(COUNT):
            config = base.ContainerConfig(
                id=_id(number), rootfs="", argv=("web",), env=(), cwd="/", user="", hostname="", netns="", log_path=""
            )
            self.world.runs[_id(number)] = exec_fake.FakeRun(config, facts, _LIMITS, at)

    def connect(self) -> None:
        """Tells the drivers in memory what else the store says is there."""
        with self.store.snapshot() as session:
            for entry in session.entries():
                uid, observed = entry.desired.uid, entry.observed
                if isinstance(observed, ContainerObserved) and observed.incarnation is not None:
                    self.network.host.endpoints["test", uid] = network_config.endpoint(session, uid, observed)
                    chain = session.images.chain(observed.incarnation.image_id)
                    self.snapshots.bases[observed.incarnation.id] = chain
                    self.graph.unpacked.update(dict.fromkeys(chain, 1))
                elif isinstance(observed, NetworkObserved) and observed.effective is not None:
                    made = network_config.network(uid, observed, observed.effective)
                    self.network.host.networks["test", uid] = made


def build(path: Path) -> None:
    """Makes the store: one container goes through the loop, the others are made after its likeness. This process stands
    for theirs: those who use the store must be its children."""
    with tempfile.TemporaryDirectory(prefix="pydock-bench-") as scratch:
        host = Loop(Path(scratch), store.open_store(path))
        host.apply(_document(COUNT))
        with host.store.transaction() as session:
            _multiply(session)
        host.delete(container_key(_name(COUNT)))
        plan = host.reconciler.plan_all()
        assert not plan.steps, plan.steps[:3]
        host.close()


def _multiply(session: Session) -> None:
    template = session.objects.live(container_key(_name(COUNT)))
    assert template is not None
    seen = session.observed.get(template.uid)
    network = session.objects.live(DEFAULT_NETWORK)
    assert network is not None
    assert isinstance(seen, ContainerObserved)
    assert seen.incarnation is not None
    for number in range(COUNT):
        spec = _document(number)["spec"]
        key = Key("Container", "default", _name(number))
        made = session.objects.create(key, {}, {}, spec, Owner("api", "test"), 1.0)
        effective = msgspec.convert(spec, type(seen.incarnation.effective))
        incarnation = msgspec.structs.replace(seen.incarnation, id=_id(number), written=spec, effective=effective)
        session.observed.put(made.uid, msgspec.structs.replace(seen, incarnation=incarnation, started_at=1.0))


def _id(number: int) -> str:
    return f"{number:016x}"


def _name(number: int) -> str:
    return f"web-{number:05}"


def _document(number: int, **changes: Any) -> dict[str, Any]:
    spec = {
        "args": ["--listen", "80"], "env": [{"name": "NUMBER", "value": str(number)}],
        "resources": {"limits": {"memory": "64Mi", "cpu": "500m"}}, "terminationGracePeriodSeconds": 5,
        "ports": [{"containerPort": 80, "hostPort": 20000 + number}],
    }  # fmt: skip
    return container(_name(number), image=IMAGE, **{**spec, **changes})


def main(path: Path, resync: bool) -> dict[str, float]:
    found: dict[str, float] = {}
    _load_code()
    with tempfile.TemporaryDirectory(prefix="pydock-bench-") as scratch:
        host = Host(Path(scratch), path, os.getppid())
        with Stopwatch() as watch:
            plan = host.reconciler.plan_all()
        assert not plan.steps, plan.steps[:3]
        found["nothing"] = watch.seconds
        host.connect()
        found["in place"] = _change(host, 4711, resources={"limits": {"memory": "128Mi"}})
        found["anew"] = _change(host, 815, args=["--listen", "80", "--fast"])
        if resync:
            found["resync"] = _resync(host)
        host.close()
    return found


def _load_code() -> None:
    """What a daemon that has answered one request has imported and compiled."""
    with tempfile.TemporaryDirectory(prefix="pydock-bench-") as scratch:
        host = Loop(Path(scratch))
        host.apply(_document(1))
        host.apply(_document(1, args=["--more"]))
        host.close()


def _change(host: Host, number: int, **spec: Any) -> float:
    with Stopwatch() as watch:
        host.apply(_document(number, **spec))
    seen = host.observed(_name(number))
    assert seen.process == "running", seen
    assert seen.incarnation is not None
    assert seen.incarnation.generation == 2, seen
    return watch.seconds


def _resync(host: Host) -> float:
    with host.store.snapshot() as session:
        keys = [desired.key for desired in session.objects.find()]
    with Stopwatch() as watch:
        for key in keys:
            host.look(key, closely=True)
    assert not host.jobs(container_key(_name(1)))
    return watch.seconds


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]), "--resync" in sys.argv[2:])))
