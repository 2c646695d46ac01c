"""A plan as text for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from reconciler.model.plan import FieldChange, Plan, Step

NOTHING_TO_DO = "nothing to do\n"


def text(plan: Plan) -> str:
    """One line for each step with its cause, with the differences indented below it; then waits and warnings. Equal
    plans give equal text.
    """
    return "".join(f"{line}\n" for line in _lines(plan)) or NOTHING_TO_DO


def to_json(plan: Plan) -> dict[str, Any]:
    """Plain JSON values in camelCase; keys as text. ``restarts`` and ``losesData`` at the top sum up the steps."""
    return {
        "steps": [_step(step) for step in plan.steps],
        "waits": [
            {
                "key": str(wait.key), "uid": wait.uid, "reason": wait.reason, "message": wait.message,
                "on": [str(key) for key in wait.on], "untilMono": wait.until_mono,
            }
            for wait in plan.waits
            if not wait.quiet
        ],
        "warnings": list(plan.warnings),
        "restarts": sorted({str(step.key) for step in plan.steps if step.restarts}),
        "losesData": sorted({str(step.key) for step in plan.steps if step.loses_data}),
    }  # fmt: skip


def _step(step: Step) -> dict[str, Any]:
    diff = [
        {"path": change.path, "old": change.old, "new": change.new, "inPlace": change.in_place} for change in step.diff
    ]
    return {
        "id": step.id, "action": step.action, "key": str(step.key), "uid": step.uid, "cause": step.cause,
        "after": list(step.after), "precondition": step.precondition, "restarts": step.restarts,
        "losesData": step.loses_data, "args": step.args, "diff": diff,
    }  # fmt: skip


def _lines(plan: Plan) -> Iterator[str]:
    for step in plan.steps:
        yield f"{step.id}: {step.cause}{_effects(step)}"
        yield from (f"    {_change(change)}" for change in step.diff)
    for wait in plan.waits:
        if not wait.quiet:
            yield f"wait {wait.key}: {wait.reason}: {wait.message}"
    for warning in plan.warnings:
        yield f"warning: {warning}"


def _effects(step: Step) -> str:
    words = [
        word
        for word, there in (("restarts it", step.restarts), ("its writable layer is lost", step.loses_data))
        if there
    ]
    return f" ({', '.join(words)})" if words else ""


def _change(change: FieldChange) -> str:
    return f"{change.path}: {_value(change.old)} → {_value(change.new)}"


def _value(value: Any) -> str:
    """As JSON with sorted keys; what is absent is ``none``."""
    return "none" if value is None else json.dumps(value, sort_keys=True, ensure_ascii=False)
