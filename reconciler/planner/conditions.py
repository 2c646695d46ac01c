"""What an object's status says: its phase and conditions, from what was observed and what the plan holds for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from reconciler.model import references
from reconciler.model.objects import Desired
from reconciler.model.observed import (
    Condition,
    ConditionStatus,
    ContainerObserved,
    NetworkObserved,
    Observed,
)  # fmt: skip
from reconciler.model.plan import Plan, Step, Wait
from reconciler.model.view import Entry, Moment
from reconciler.planner import refresh, restarts, retry

#: waits that mean: it was tried, and will be tried again by itself
_BACK_OFF = frozenset({"Error", "CrashLoopBackOff", "ImagePullBackOff"})
#: steps that a running container bears without being any less ready
_HARMLESS = frozenset({"repair", "update"})
_UNSUPERVISED = "its monitor (conmon) is gone: the process runs on, its exit code will be unknown"


class _Verdict(NamedTuple):
    """``reason`` and ``message`` are those of the condition Ready."""

    phase: str
    ready: bool
    reason: str
    message: str = ""


def status(entry: Entry, plan: Plan, now: Moment) -> Observed:
    """The entry's observed state with phase, conditions and ``observed_generation`` (the newest that was planned for).

    Ready is true only if nothing of that generation is left to do. The note of a failed step goes once nothing is
    held back.
    """
    desired = entry.desired
    steps = [step for step in plan.steps if step.uid == desired.uid]
    waits = [wait for wait in plan.waits if wait.uid == desired.uid]
    observed = retry.this_boot(retry.observed_of(entry), now)
    if not steps and not any(wait.reason == "Error" for wait in waits):
        observed = retry.after_success(observed)
    waits = [wait for wait in waits if not wait.quiet]
    verdict = _verdict(desired, observed, steps, waits, {step.id for step in plan.steps})
    conditions = [_ready(verdict)]
    if isinstance(observed, ContainerObserved) and observed.process == "running" and not observed.supervised:
        conditions.append(Condition(type="Supervised", status="False", reason="MonitorGone", message=_UNSUPERVISED))
    return msgspec.structs.replace(
        observed, phase=verdict.phase, observed_generation=desired.generation,
        conditions=_since(observed.conditions, conditions, now.wall),
    )  # fmt: skip


def _verdict(desired: Desired, observed: Observed, steps: list[Step], waits: list[Wait], planned: set[str]) -> _Verdict:
    if desired.deleting_at is not None:
        return _unready("Terminating", waits, "Terminating")
    if isinstance(observed, ContainerObserved):
        return _container(desired, observed, steps, waits)
    if isinstance(observed, NetworkObserved):
        return _network(observed, waits)
    if any(step.action == "check" for step in steps) and refresh.policy(desired) == "Always":
        return _Verdict("Pending", False, "Checking", steps[0].cause)
    return _image(f"pull {references.normalised(str(desired.spec['reference']))}" in planned, waits)


def _container(desired: Desired, observed: ContainerObserved, steps: list[Step], waits: list[Wait]) -> _Verdict:
    if observed.process == "running":
        return _running(steps, waits)
    if desired.override.stopped:
        return _unready("Stopped", waits, "Stopped")
    if waits:
        return _unready("BackOff" if waits[0].reason in _BACK_OFF else "Pending", waits, "")
    if any(step.action == "start" for step in steps):
        return _coming(steps)
    return _ended(observed)


def _running(steps: list[Step], waits: list[Wait]) -> _Verdict:
    if waits:
        return _unready("Running", waits, "")
    if all(step.action in _HARMLESS for step in steps):
        return _Verdict("Running", True, "Running")
    return _Verdict("Running", False, "Updating", steps[0].cause)


def _coming(steps: list[Step]) -> _Verdict:
    pull = next((before for step in steps for before in step.after if before.startswith("pull ")), None)
    if pull is not None:
        return _Verdict("Pending", False, "Pulling", pull)
    return _Verdict("Creating", False, "Creating", steps[0].cause)


def _ended(observed: ContainerObserved) -> _Verdict:
    """It has ended and its restart policy leaves it so."""
    if observed.incarnation is None:
        return _Verdict("Pending", False, "Pending")
    if restarts.succeeded(observed):
        return _Verdict("Succeeded", False, "Completed", restarts.exit_text(observed))
    return _Verdict("Failed", False, "Failed", restarts.exit_text(observed))


def _network(observed: NetworkObserved, waits: list[Wait]) -> _Verdict:
    phase = "Active" if observed.created else "Pending"
    if waits or not observed.created:
        return _unready(phase, waits, "Pending")
    return _Verdict(phase, True, "Active")


def _image(pulling: bool, waits: list[Wait]) -> _Verdict:
    if waits:
        return _unready("Failed" if waits[0].reason == "Error" else "Pending", waits, "")
    return _Verdict("Pending", False, "Pulling") if pulling else _Verdict("Present", True, "Present")


def _unready(phase: str, waits: list[Wait], reason: str) -> _Verdict:
    """Not ready, for the first of ``waits`` or else for ``reason``."""
    if waits:
        return _Verdict(phase, False, waits[0].reason, waits[0].message)
    return _Verdict(phase, False, reason)


def _ready(verdict: _Verdict) -> Condition:
    truth: ConditionStatus = "True" if verdict.ready else "False"
    return Condition(type="Ready", status=truth, reason=verdict.reason, message=verdict.message)


def _since(former: Iterable[Condition], conditions: Iterable[Condition], now: float) -> tuple[Condition, ...]:
    """``conditions`` with the time of their last transition: a new reason alone is none."""
    known = {condition.type: condition for condition in former}
    return tuple(
        msgspec.structs.replace(
            condition,
            last_transition_time=known[condition.type].last_transition_time
            if condition.type in known and known[condition.type].status == condition.status
            else now,
        )
        for condition in conditions
    )
