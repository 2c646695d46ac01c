"""A kind that only holds data: what its objects do unless the kind says otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Never

from reconciler.kinds.base.context import Context, Outcome
from reconciler.kinds.base.sequence import Sequence as Steps
from reconciler.kinds.base.verdict import Case, Verdict, unready
from reconciler.model.observed import Condition, Observed
from reconciler.model.tasks import Purge
from reconciler.model.view import Entry, Moment


def plan(context: Context, entry: Entry) -> Outcome:
    """Nothing to do while it is wanted. When it is deleted, its row is removed."""
    steps = Steps(context, entry)
    if entry.desired.deleting_at is not None:
        steps.add(Purge(), "it is being deleted")
    return steps.outcome()


def agrees(context: Context, entry: Entry) -> bool:
    return True


def may_disagree(context: Context, entry: Entry) -> bool:
    return False


def verdict(case: Case) -> Verdict:
    """Active once there is nothing to do and nothing to wait for."""
    undone = case.waits or case.steps
    return unready("Pending", case.waits, "Pending") if undone else Verdict("Active", True, "Active")


def no_conditions(observed: Any) -> Sequence[Condition]:
    return ()


def show(observed: Any) -> dict[str, Any]:
    return {"phase": observed.phase}


def no_refs(of: Any) -> tuple[Never, ...]:
    return ()


def never(entry: Entry) -> bool:
    return False


def no_facts(observed: Any) -> dict[str, Any]:
    return {}


def as_it_is(observed: Any, now: Moment) -> Observed:
    return observed  # type: ignore[no-any-return]
