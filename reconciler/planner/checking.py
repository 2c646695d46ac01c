"""Whether a step may still be taken: what it was planned from is compared with what is there now."""

from __future__ import annotations

from typing import Any

from reconciler import errors
from reconciler.kinds import table
from reconciler.kinds.base.sequence import wish
from reconciler.model.objects import NEW
from reconciler.model.plan import Step
from reconciler.model.view import Entry


def check(step: Step, entry: Entry | None) -> None:
    """Raises ``Outdated`` if ``entry`` (the step's object as it is now, None when gone) is not what the step was
    planned from.

    Desired state must be exactly the same: spec, labels, override, deletion. Of observed state, only what the step's
    precondition names must hold: a value, or one of a list.
    """
    if step.uid.startswith(NEW):
        if entry is not None:
            raise errors.Outdated(f"{step.key} is there by now")
        return
    if entry is None:
        raise errors.Outdated(f"{step.key} is gone")
    if changed := _changed(step, entry):
        raise errors.Outdated(f"{step.key}: {changed} has changed since the plan was made")
    found = {**wish(entry.desired), **table.pure(step.key.kind).facts(table.observed_of(entry))}
    for name, wanted in step.precondition.items():
        present = found.get(name)
        if present not in wanted if isinstance(wanted, list) else present != wanted:
            raise errors.Outdated(f"{step.key}: {name} is {present!r}, {step.action} relies on {wanted!r}")


def _changed(step: Step, entry: Entry) -> str:
    """The part of desired state that has changed; empty if none has."""
    then, now = step.desired, entry.desired
    for name, was, is_ in _wishes(then, now):
        if was != is_:
            return name
    return ""


def _wishes(then: Any, now: Any) -> tuple[tuple[str, Any, Any], ...]:
    return (
        ("its deletion", then.deleting_at is not None, now.deleting_at is not None),
        ("its spec", then.spec, now.spec),
        ("its labels", then.labels, now.labels),
        ("what was asked by hand", then.override, now.override),
    )
