"""What a container's status says."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.kinds.base.verdict import Case, Verdict, unready
from reconciler.kinds.container import restarts
from reconciler.kinds.container.observed import ContainerObserved
from reconciler.kinds.container.tasks import Start
from reconciler.model.observed import Condition
from reconciler.model.plan import Step, Wait

#: waits of a step that failed and will be tried again without anybody's doing
_BACK_OFF = frozenset({"Error", "CrashLoopBackOff", "ImagePullBackOff"})
_UNSUPERVISED = "its monitor (conmon) is gone: the process runs on, its exit code will be unknown"


def verdict(case: Case) -> Verdict:
    observed, steps, waits = case.observed, case.steps, case.waits
    assert isinstance(observed, ContainerObserved)
    if observed.process == "running" and observed.stop_mono:
        return unready("Stopping", [wait for wait in waits if wait.reason == "Stopping"], "Stopping")
    if observed.process == "running":
        return _running(steps, waits)
    if case.desired.override.stopped:
        return unready("Stopped", waits, "Stopped")
    if waits:
        return unready("BackOff" if waits[0].reason in _BACK_OFF else "Pending", waits, "")
    if any(isinstance(step.task, Start) for step in steps):
        return _coming(steps)
    return _ended(observed)


def conditions(case: Case) -> list[Condition]:
    observed, found = case.observed, list[Condition]()
    assert isinstance(observed, ContainerObserved)
    if observed.process == "running" and not observed.supervised:
        found.append(Condition(type="Supervised", status="False", reason="MonitorGone", message=_UNSUPERVISED))
    for wait in case.waits:
        if wait.harmless:
            found.append(Condition(type="UpToDate", status="False", reason=wait.reason, message=wait.message))
    return found


def _running(steps: Sequence[Step], waits: Sequence[Wait]) -> Verdict:
    held = [wait for wait in waits if not wait.harmless]
    if held:
        return unready("Running", held, "")
    if all(step.task.harmless for step in steps):
        return Verdict("Running", True, "Running")
    return Verdict("Running", False, "Updating", steps[0].cause)


def _coming(steps: Sequence[Step]) -> Verdict:
    pull = next((before for step in steps for before in step.after if before.startswith("pull ")), None)
    if pull is not None:
        return Verdict("Pending", False, "Pulling", pull)
    return Verdict("Creating", False, "Creating", steps[0].cause)


def _ended(observed: ContainerObserved) -> Verdict:
    """Its process has ended, and its restart policy does not start it again."""
    if observed.incarnation is None:
        return Verdict("Pending", False, "Pending")
    if restarts.succeeded(observed):
        return Verdict("Succeeded", False, "Completed", restarts.exit_text(observed))
    return Verdict("Failed", False, "Failed", restarts.exit_text(observed))
