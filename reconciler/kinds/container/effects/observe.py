"""What is true of a container now."""

from __future__ import annotations

import msgspec

from reconciler.drivers.exec.base import ProcessFacts
from reconciler.engine.parts import Parts
from reconciler.kinds.container import restarts, runs
from reconciler.kinds.container.effects import process, upkeep
from reconciler.kinds.container.observed import ContainerObserved
from reconciler.model.objects import Desired
from reconciler.model.observed import Condition
from reconciler.model.view import Entry
from reconciler.store.base import Session

_UNSUPERVISED = "conmon is gone: the process runs on, its exit code will be unknown"


def observe(parts: Parts, entry: Entry, closely: bool) -> bool:
    """Reads its process, and ``closely`` also its network, its mount and its limits."""
    desired, observed = entry.desired, entry.observed
    if not isinstance(observed, ContainerObserved) or observed.incarnation is None:
        return False
    seen = _process(parts, desired, observed, process.settled(parts, observed.incarnation.id))
    if closely and seen.process in ("created", "running"):
        seen = msgspec.structs.replace(seen, drift=upkeep.drift(parts, desired.uid, seen))
    if seen != observed:
        with parts.store.transaction(durable=False) as session:
            session.observed.put(desired.uid, seen)
            _tell(session, desired, observed, seen, parts.clock.now().wall)
    return seen != observed


def _process(parts: Parts, desired: Desired, observed: ContainerObserved, facts: ProcessFacts) -> ContainerObserved:
    """``observed`` with the process as it is now. A run that has ended since then sets the back-off, once."""
    now = parts.clock.now()
    if facts.status in ("running", "created"):
        same = facts.pid == observed.pid and facts.pid_start == observed.pid_start
        return msgspec.structs.replace(
            observed, process=facts.status, pid=facts.pid, pid_start=facts.pid_start, supervised=facts.supervised,
            started_at=observed.started_at if same else facts.started_at,
            # a crash lost the record of this start: the process is there, so it was started
            starts=max(observed.starts, 1) if facts.status == "running" else observed.starts,
            started_mono=observed.started_mono if same else now.mono,
            boot_id=now.boot_id,
        )  # fmt: skip
    if observed.process == "running" or (observed.process == "created" and facts.status == "exited"):
        return _ended(parts, desired, observed, facts)
    if observed.process == "created":
        return msgspec.structs.replace(
            observed, process="absent", pid=0, pid_start=0, stop_mono=0.0, stop_sent=False
        )  # fmt: skip
    return observed


def _ended(parts: Parts, desired: Desired, observed: ContainerObserved, facts: ProcessFacts) -> ContainerObserved:
    now = parts.clock.now()
    ended = _not_ready(msgspec.structs.replace(observed, **process.exit_fields(facts)), now.wall)
    if observed.boot_id != now.boot_id:
        # it ended with the last boot, which is no failure of its own
        return msgspec.structs.replace(ended, process="absent", starts=observed.starts, stop_mono=0.0, stop_sent=False)
    if observed.stop_mono:
        # it was asked to end
        return msgspec.structs.replace(ended, failures=0, next_start_mono=0.0, stop_mono=0.0, stop_sent=False)
    if desired.deleting_at is not None or desired.override.stopped:
        return ended
    return runs.after_exit(ended, now)


def _not_ready(ended: ContainerObserved, now: float) -> ContainerObserved:
    """A container whose process has ended is not ready from that moment on, whatever is planned for it."""
    ready = Condition("Ready", "False", "Exited", restarts.exit_text(ended), now)
    conditions = tuple(ready if each.type == "Ready" else each for each in ended.conditions)
    return msgspec.structs.replace(ended, conditions=conditions)


def _tell(session: Session, desired: Desired, before: ContainerObserved, seen: ContainerObserved, now: float) -> None:
    """Records events that somebody will ask about later."""
    record = session.events.record
    key, uid = str(desired.key), desired.uid
    if before.process == "running" and seen.process != "running":
        if before.stop_mono:
            record(key, uid, "Normal", "Stopped", restarts.exit_text(seen), now)
        elif desired.deleting_at is None:
            process.tell_exit(session, desired, seen, now)
    if before.supervised and not seen.supervised and seen.process == "running":
        record(key, uid, "Warning", "Unsupervised", _UNSUPERVISED, now)
    fresh = set(seen.drift) - set(before.drift)
    if fresh:
        record(key, uid, "Warning", "Drifted", "missing or altered: " + ", ".join(sorted(fresh)), now)
