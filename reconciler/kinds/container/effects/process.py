"""Steps that start and end the process of an incarnation."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from typing import Any, Literal, NamedTuple

import msgspec

from reconciler import errors, failpoints
from reconciler.drivers.exec.base import ProcessFacts
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.kinds.container import restarts, runs, tasks
from reconciler.kinds.container.effects import common, config
from reconciler.kinds.container.observed import ContainerObserved, LastExit
from reconciler.model import signals
from reconciler.model.objects import Desired
from reconciler.model.plan import Step
from reconciler.model.view import Entry, ImageFacts
from reconciler.store.base import Session

#: how long after a process has gone its exit may take to be recorded (measured: 0.7 to 15 ms)
EXIT_PATIENCE = 2.0
#: seconds that a stop waits for the process to end before the worker goes on to other objects
_STOP_PATIENCE = 0.25
#: seconds in which the kernel ends a process after SIGKILL, unless it hangs in a driver
_KILL_PATIENCE = 10.0


class _Start(NamedTuple):
    common: common.Claim
    image: ImageFacts
    chain: tuple[str, ...]


def claim_start(parts: Parts, session: Session, step: Step, entry: Entry) -> _Start:
    claim = common.claim(parts, session, step, entry)
    image = common.image(session, step.key, claim.incarnation.image_id)
    return _Start(claim, image, session.images.chain(image.image_id))


def start(parts: Parts, job: Job, claim: _Start) -> None:
    """One run of the incarnation's process, from a sure snapshot and endpoint."""
    state, incarnation = claim.common, claim.common.incarnation
    if incarnation.id in parts.fresh:
        parts.fresh.discard(incarnation.id)
        rootfs = parts.graph_driver.rootfs(incarnation.id)
    else:
        rootfs = parts.graph_driver.prepare(incarnation.id, claim.chain)
        failpoints.hit("start.snapshot.after")
        common.wire(parts, state.endpoint)
        failpoints.hit("start.endpoint.after")
    made = config.build(parts, state.desired, state.observed, claim.image, rootfs)
    failpoints.hit("start.create.before")
    parts.exec.create(made)
    failpoints.hit("start.create.after")
    facts = parts.exec.start(incarnation.id)
    failpoints.hit("start.start.after")
    _record_start(parts, state, facts)
    _warn_of_names(parts, state.desired)
    failpoints.hit("start.record.after")


def claim_stop(parts: Parts, session: Session, step: Step, entry: Entry) -> common.Claim:
    """Records when the process was asked to end: from then on its grace period counts, whoever dies meanwhile."""
    claim = common.claim(parts, session, step, entry)
    observed = msgspec.structs.replace(claim.observed, stop_mono=parts.clock.now().mono, stop_sent=False)
    session.observed.put(step.uid, observed)
    return claim._replace(observed=observed)


def stop(parts: Parts, job: Job, claim: common.Claim) -> None:
    """Sends the stop signal. The process ends when it does: the next plan waits for that, or kills it."""
    assert isinstance(claim.task, tasks.Stop)
    id = claim.incarnation.id
    failpoints.hit("stop.signal.before")
    # what was created and never started has nothing to end in good order
    gentle = parts.exec.inspect(id).status != "created"
    parts.exec.signal(id, claim.task.signal if gentle else signal.SIGKILL)
    failpoints.hit("stop.signal.after")
    common.change(parts, claim.uid, stop_sent=True)
    failpoints.hit("stop.record.after")
    _await_exit(parts, job, id, min(_STOP_PATIENCE, claim.task.grace) if gentle else _KILL_PATIENCE)


def kill(parts: Parts, job: Job, claim: common.Claim) -> None:
    """SIGKILL, for what did not end in its grace period."""
    id = claim.incarnation.id
    failpoints.hit("stop.kill.before")
    parts.exec.signal(id, signal.SIGKILL)
    failpoints.hit("stop.kill.after")
    if not _await_exit(parts, job, id, _KILL_PATIENCE):
        raise errors.Temporary(f"{claim.desired.key}: the process does not end after SIGKILL", delay=5.0)


def resume(parts: Parts, job: Job, claim: common.Claim) -> None:
    """The stop is taken back: a process that is still there goes on."""
    common.change(parts, claim.uid, stop_mono=0.0, stop_sent=False)


def told_start(job: Job) -> str:
    return f"its process was started, because {job.cause}"


def told_stop(job: Job) -> str:
    assert isinstance(job.task, tasks.Stop)
    name = signals.name(job.task.signal)
    if job.task.signal == signal.SIGKILL:
        return f"{job.cause}: {name}"
    return f"{job.cause}: {name}, and SIGKILL if it has not ended after {job.task.grace:g} s"


def settled(parts: Parts, id: str, patience: float = EXIT_PATIENCE) -> ProcessFacts:
    """The facts once the exit of a process that has gone is recorded too: the exit file comes some milliseconds after
    the exit."""
    deadline = time.monotonic() + patience
    facts = parts.exec.inspect(id)
    while facts.status == "running" and time.monotonic() < deadline and not _alive(facts):
        time.sleep(0.001)
        facts = parts.exec.inspect(id)
    return facts


def exit_fields(facts: ProcessFacts) -> dict[str, Any]:
    """What an ended run leaves in the observed state."""
    finished_at, reason = facts.finished_at or time.time(), facts.exit_reason or "unknown"
    return {
        "process": "exited" if facts.status in ("exited", "absent") else facts.status,
        "pid": 0,
        "pid_start": 0,
        "finished_at": finished_at,
        "exit_code": facts.exit_code,
        "exit_reason": reason,
        "exit_signal": facts.signal,
        "drift": (),
        "last_exit": LastExit(facts.exit_code, reason, facts.signal, finished_at),
    }


def tell_exit(session: Session, desired: Desired, ended: ContainerObserved, now: float) -> None:
    """The event of a run that has ended by itself."""
    type: Literal["Normal", "Warning"] = "Normal" if restarts.succeeded(ended) else "Warning"
    session.events.record(str(desired.key), desired.uid, type, "Exited", restarts.exit_text(ended), now)


def _alive(facts: ProcessFacts) -> bool:
    try:
        with open(f"/proc/{facts.pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return False
    return fields[0] not in (b"Z", b"X") and int(fields[19]) == facts.pid_start


def _record_start(parts: Parts, claim: common.Claim, facts: ProcessFacts) -> None:
    now = parts.clock.now()
    assert isinstance(claim.task, tasks.Start)
    with parts.store.transaction(durable=False) as session:
        observed = session.observed.get(claim.uid)
        if not isinstance(observed, ContainerObserved):
            raise errors.Conflict(f"{claim.desired.key} is gone")
        observed = runs.this_boot(observed, now)
        started = msgspec.structs.replace(
            observed, process="running", pid=facts.pid, pid_start=facts.pid_start, supervised=facts.supervised,
            started_at=facts.started_at or now.wall, started_mono=now.mono, finished_at=0.0, exit_code=None,
            exit_reason="", exit_signal=0, starts=observed.starts + 1,
            restart_count=observed.restart_count + (1 if claim.task.counts else 0), boot_id=now.boot_id,
            restart=claim.desired.override.restart, drift=(), error="", error_count=0, retry_mono=0.0,
            stop_mono=0.0, stop_sent=False,
        )  # fmt: skip
        if facts.status == "running":
            session.observed.put(claim.uid, started)
            return
        # it was quicker than we: its end counts as any other
        ended = runs.after_exit(msgspec.structs.replace(started, **exit_fields(facts)), now)
        session.observed.put(claim.uid, ended)
        tell_exit(session, claim.desired, ended, now.wall)


def _warn_of_names(parts: Parts, desired: Desired) -> None:
    """An event where a container cannot look up names."""
    if warning := parts.network.resolv_conf().warning:
        with parts.store.transaction(durable=False) as session:
            record, now = session.events.record, parts.clock.now().wall
            record(str(desired.key), desired.uid, "Warning", "NoNameServer", warning, now)


def _await_exit(parts: Parts, job: Job, id: str, seconds: float) -> bool:
    """Whether the process ended within ``seconds``, or the daemon before it."""
    facts = parts.exec.inspect(id)
    if facts.status not in ("running", "created"):
        return True
    try:
        fd = os.pidfd_open(facts.pid)
    except OSError:
        return True
    with contextlib.closing(os.fdopen(fd, "rb", closefd=True)):
        if not _alive(facts):
            return True
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if poll.poll(min(left, 0.25) * 1000):
                return True
            if job.stopping.is_set():
                return False
    return False
