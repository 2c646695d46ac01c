"""The steps of the reconciler, each with its handler. The handlers of what the API asks are in ``reconciler.jobs``."""

from __future__ import annotations

from reconciler.engine import effects, objects
from reconciler.engine.effects import StepHandler
from reconciler.model import kinds


def steps() -> dict[str, StepHandler]:
    """The handlers of all kinds' steps, by action."""
    found = dict(objects.STEPS)
    for kind in kinds.KINDS:
        found |= effects.of(kind.name).steps
    return found
