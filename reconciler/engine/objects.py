"""Steps that belong to no kind: objects that are declared and withdrawn by others, and rows that go."""

from __future__ import annotations

from reconciler import errors, failpoints
from reconciler.engine.effects import StepHandler
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.model.keys import Key
from reconciler.model.objects import BUILTIN, OBJECT, Owner
from reconciler.model.plan import Step
from reconciler.model.tasks import Declare, Withdraw
from reconciler.model.view import Entry
from reconciler.store.base import Session


def claim_declare(parts: Parts, session: Session, step: Step, entry: Entry) -> Key:
    """The object is stored with the claim. Raises ``Conflict`` if somebody else holds the name."""
    task = step.task
    assert isinstance(task, Declare)
    owner = Owner(BUILTIN, task.key.name) if task.builtin else Owner(OBJECT, step.uid)
    live = session.objects.live(task.key)
    if live is None:
        session.objects.create(task.key, task.labels, {}, task.spec, owner, parts.clock.now().wall)
    elif live.owner == owner:
        session.objects.replace(live.uid, task.labels, live.annotations, task.spec, owner)
    else:
        raise errors.Conflict(f"{task.key} is owned by {live.owner}; {step.key} cannot own it too")
    return task.key


def claim_withdraw(parts: Parts, session: Session, step: Step, entry: Entry) -> Key:
    """The object is marked with the claim, if it is still the owner's, or the step's own."""
    assert isinstance(step.task, Withdraw)
    live = session.objects.live(step.task.key)
    if live is not None and (live.uid == step.uid or live.owner == Owner(OBJECT, step.uid)):
        session.objects.mark_deleting(live.uid, parts.clock.now().wall)
    return step.task.key


def look(parts: Parts, job: Job, key: Key) -> None:
    """What follows is the object's own."""
    failpoints.hit("objects.declared.after")
    parts.look([key])


def claim_purge(parts: Parts, session: Session, step: Step, entry: Entry) -> None:
    """The object's row goes with the claim: nothing else is left of it."""
    session.objects.purge(step.uid)


def purged(parts: Parts, job: Job, claim: None) -> None:
    failpoints.hit("purge.after")


STEPS = {
    "declare": StepHandler(claim_declare, look),
    "withdraw": StepHandler(claim_withdraw, look),
    "purge": StepHandler(claim_purge, purged, did="Removed"),
}
