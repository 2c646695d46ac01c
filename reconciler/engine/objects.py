"""Steps that belong to no kind: an object declares or withdraws another one, or its own row is deleted."""

from __future__ import annotations

from typing import Any

from reconciler import errors, failpoints, manifest
from reconciler.engine.effects import StepHandler
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.model import kinds
from reconciler.model.keys import Key
from reconciler.model.objects import BUILTIN, OBJECT, Owner
from reconciler.model.plan import Step
from reconciler.model.tasks import Declare, Withdraw
from reconciler.model.view import Entry
from reconciler.store.base import Session


def claim_declare(parts: Parts, session: Session, step: Step, entry: Entry) -> Key:
    """Stores the object with the claim. Raises ``Conflict`` if somebody else holds the name, and ``Invalid`` for a spec
    that no manifest could have: what an object declares is checked as what people write."""
    task = step.task
    assert isinstance(task, Declare)
    manifest.check(_document(task))
    owner = Owner(BUILTIN, task.key.name) if task.builtin else Owner(OBJECT, step.uid, str(step.key))
    live = session.objects.live(task.key)
    if live is None:
        session.objects.create(task.key, task.labels, {}, task.spec, owner, parts.clock.now().wall)
    elif live.owner == owner:
        session.objects.replace(live.uid, task.labels, live.annotations, task.spec, owner)
    else:
        raise errors.Conflict(f"{task.key} is owned by {live.owner}; {step.key} cannot own it too")
    return task.key


def _document(task: Declare) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": task.key.name, "labels": task.labels}
    if task.key.namespace:
        metadata["namespace"] = task.key.namespace
    return {"apiVersion": kinds.API_VERSION, "kind": task.key.kind, "metadata": metadata, "spec": task.spec}


def claim_withdraw(parts: Parts, session: Session, step: Step, entry: Entry) -> Key:
    """Marks the object as being deleted, with the claim, if the step's object still owns it or is the object itself."""
    assert isinstance(step.task, Withdraw)
    live = session.objects.live(step.task.key)
    if live is not None and (live.uid == step.uid or live.owner.is_object(step.uid)):
        session.objects.mark_deleting(live.uid, parts.clock.now().wall)
    return step.task.key


def look(parts: Parts, job: Job, key: Key) -> None:
    """Asks for a look at the object, whose own plan does the rest."""
    failpoints.hit("objects.declared.after")
    parts.look([key])


def claim_purge(parts: Parts, session: Session, step: Step, entry: Entry) -> None:
    """Deletes the object's row with the claim. Nothing else is left of it by then."""
    session.objects.purge(step.uid)


def purged(parts: Parts, job: Job, claim: None) -> None:
    failpoints.hit("purge.after")


STEPS = {
    "declare": StepHandler(claim_declare, look),
    "withdraw": StepHandler(claim_withdraw, look),
    "purge": StepHandler(claim_purge, purged, did="Removed"),
}
