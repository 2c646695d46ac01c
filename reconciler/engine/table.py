"""The steps of the reconciler, each with its handler. What the API asks stands in ``reconciler.jobs``."""

from __future__ import annotations

from reconciler.engine import objects
from reconciler.engine.effects import StepHandler
from reconciler.kinds import table
from reconciler.model import kinds


def steps() -> dict[str, StepHandler]:
    """The handlers of all kinds' steps, by action."""
    found = dict(objects.STEPS)
    for kind in kinds.KINDS:
        found |= table.effects(kind.name).steps
    return found
