"""Steps that belong to no kind."""

from __future__ import annotations

from reconciler import failpoints
from reconciler.engine.effects import StepHandler
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.model.plan import Step
from reconciler.model.view import Entry
from reconciler.store.base import Session


def claim_purge(parts: Parts, session: Session, step: Step, entry: Entry) -> None:
    """The object's row goes with the claim: nothing else is left of it."""
    session.objects.purge(step.uid)


def purged(parts: Parts, job: Job, claim: None) -> None:
    failpoints.hit("purge.after")


PURGE = StepHandler(claim_purge, purged, did="Removed")
