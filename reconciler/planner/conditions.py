"""What an object's status says: its phase and conditions, from what was observed and what the plan holds for it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from reconciler.kinds import table
from reconciler.kinds.base import retry
from reconciler.kinds.base.verdict import Case, Verdict, unready
from reconciler.model.observed import Condition, ConditionStatus, Observed
from reconciler.model.plan import Plan
from reconciler.model.view import Entry, Moment
from reconciler.planner.failures import this_boot


def status(entry: Entry, plan: Plan, now: Moment) -> Observed:
    """The entry's observed state with phase, conditions and ``observed_generation`` (the newest that was planned for).

    Ready is true only if nothing of that generation is left to do. The note of a failed step is removed once nothing is
    held back.
    """
    desired, kind = entry.desired, table.pure(entry.desired.key.kind)
    steps = [step for step in plan.steps if step.uid == desired.uid]
    waits = [wait for wait in plan.waits if wait.uid == desired.uid]
    observed = this_boot(entry, now)
    if not steps and not any(wait.reason == "Error" for wait in waits):
        observed = retry.after_success(observed)
    waits = [wait for wait in waits if not wait.quiet]
    case = Case(desired, observed, steps, waits, frozenset(step.id for step in plan.steps))
    going = desired.deleting_at is not None
    verdict = unready("Terminating", waits, "Terminating") if going else kind.verdict(case)
    conditions = [_ready(verdict), *kind.conditions(case)]
    return msgspec.structs.replace(
        observed, phase=verdict.phase, observed_generation=desired.generation,
        conditions=_since(observed.conditions, conditions, now.wall),
    )  # fmt: skip


def with_status(present: Observed, planned: Entry, status: Observed) -> Observed:
    """``present``, which may have moved on since ``planned`` was read, with what ``status`` says of it. The note of a
    failure is removed only if it is still the one that was read."""
    same_note = planned.observed is not None and (present.error, present.error_count, present.error_step) == (
        planned.observed.error, planned.observed.error_count, planned.observed.error_step,
    )  # fmt: skip
    if same_note and not status.error:
        present = retry.after_success(present)
    return msgspec.structs.replace(
        present, phase=status.phase, observed_generation=status.observed_generation, conditions=status.conditions
    )


def _ready(verdict: Verdict) -> Condition:
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
