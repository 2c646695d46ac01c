"""Observation: what is true of an object now, read from the drivers and noted in the store before planning."""

from __future__ import annotations

import logging

import msgspec

from reconciler import planner
from reconciler.drivers.exec.base import ProcessFacts
from reconciler.engine.handlers import containers, images, network_config
from reconciler.engine.parts import Parts
from reconciler.model.keys import Key
from reconciler.model.objects import Desired
from reconciler.model.observed import Condition, ContainerObserved, NetworkObserved
from reconciler.model.view import Entry
from reconciler.planner import restarts
from reconciler.store.base import Session

log = logging.getLogger("pydock.observe")


class Observer:
    """``observe(key)`` is level-triggered: it reads the present state whatever the event was that asked for it."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def observe(self, key: Key, closely: bool) -> bool:
        """Looks at all objects of that key; whether there was news. ``closely`` also compares mounts, links, rules and
        limits (some milliseconds)."""
        with self._parts.store.snapshot() as session:
            entries = session.entries([key])
        news = [self._one(entry, closely) for entry in entries]
        return any(news)

    def _one(self, entry: Entry, closely: bool) -> bool:
        desired, observed = entry.desired, entry.observed
        if isinstance(observed, ContainerObserved):
            return self._container(desired, observed, closely)
        if isinstance(observed, NetworkObserved):
            return closely and self._network(desired, observed)
        if desired.key.kind == "Image":
            return images.observe(self._parts, desired.uid, str(desired.spec["reference"]))
        return False

    def _container(self, desired: Desired, observed: ContainerObserved, closely: bool) -> bool:
        if observed.incarnation is None:
            return False
        facts = containers.settled(self._parts, observed.incarnation.id)
        seen = self._process(desired, observed, facts)
        if closely and seen.process in ("created", "running"):
            seen = msgspec.structs.replace(seen, drift=containers.drift_of(self._parts, desired.uid, seen))
        if seen != observed:
            self._put(desired, observed, seen)
        return seen != observed

    def _process(self, desired: Desired, observed: ContainerObserved, facts: ProcessFacts) -> ContainerObserved:
        """``observed`` with the process as it is now. A run that has ended since sets the back-off once."""
        now = self._parts.clock.now()
        if facts.status in ("running", "created"):
            same = facts.pid == observed.pid and facts.pid_start == observed.pid_start
            return msgspec.structs.replace(
                observed, process=facts.status, pid=facts.pid, pid_start=facts.pid_start, supervised=facts.supervised,
                started_at=observed.started_at if same else facts.started_at,
                # a start whose record a crash took: the process is there, so it has been started
                starts=max(observed.starts, 1) if facts.status == "running" else observed.starts,
                started_mono=observed.started_mono if same else now.mono,
                boot_id=now.boot_id,
            )  # fmt: skip
        if observed.process == "running" or (observed.process == "created" and facts.status == "exited"):
            ended = _not_ready(msgspec.structs.replace(observed, **containers.exit_fields(facts)), now.wall)
            if observed.boot_id != now.boot_id:
                # it ended with the last boot: nothing to hold against it
                return msgspec.structs.replace(ended, process="absent", starts=observed.starts)
            if desired.deleting_at is not None or desired.override.stopped:
                return ended
            return planner.after_exit(ended, now)
        if observed.process == "created":
            return msgspec.structs.replace(observed, process="absent", pid=0, pid_start=0)
        return observed

    def _network(self, desired: Desired, observed: NetworkObserved) -> bool:
        if not observed.created or observed.effective is None:
            return False
        config = network_config.network(desired.uid, observed, observed.effective)
        found, _ = self._parts.network.drift([config], [])
        seen = msgspec.structs.replace(observed, drift=found.get(desired.uid, ()))
        if seen != observed:
            with self._parts.store.transaction(durable=False) as session:
                session.observed.put(desired.uid, seen)
        return seen != observed

    def _put(self, desired: Desired, before: ContainerObserved, seen: ContainerObserved) -> None:
        now = self._parts.clock.now().wall
        with self._parts.store.transaction(durable=False) as session:
            session.observed.put(desired.uid, seen)
            _tell(session, desired, before, seen, now)


def _not_ready(ended: ContainerObserved, now: float) -> ContainerObserved:
    """What has ended is not ready from that moment on, whatever is planned for it."""
    ready = Condition("Ready", "False", "Exited", restarts.exit_text(ended), now)
    conditions = tuple(ready if each.type == "Ready" else each for each in ended.conditions)
    return msgspec.structs.replace(ended, conditions=conditions)


def _tell(session: Session, desired: Desired, before: ContainerObserved, seen: ContainerObserved, now: float) -> None:
    """Events for what somebody will ask about later."""
    record = session.events.record
    key, uid = str(desired.key), desired.uid
    if before.process == "running" and seen.process != "running" and desired.deleting_at is None:
        containers.tell_exit(session, desired, seen, now)
    if before.supervised and not seen.supervised and seen.process == "running":
        record(
            key,
            uid,
            "Warning",
            "Unsupervised",
            "conmon is gone: the process runs on, its exit code will be unknown",
            now,
        )
    fresh = set(seen.drift) - set(before.drift)
    if fresh:
        record(key, uid, "Warning", "Drifted", "missing or altered: " + ", ".join(sorted(fresh)), now)
