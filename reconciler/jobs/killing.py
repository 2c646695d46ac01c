"""The job `signal`: a signal to a container's process, with no change of what is wanted of it."""

from __future__ import annotations

from typing import Any

import msgspec

from reconciler import errors
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.kinds.container.observed import ContainerObserved
from reconciler.model import signals
from reconciler.model.keys import Key
from reconciler.model.view import Entry
from reconciler.requests import containers as asked


def kill(parts: Parts, job: Job) -> dict[str, Any]:
    """Raises ``Conflict`` if no process runs. One that is being deleted and still runs gets the signal too."""
    request = msgspec.convert(job.args, asked.Kill)
    number = signals.number(request.signal)
    key = Key.of("Container", request.name, request.namespace)
    job.key = key
    with parts.store.transaction(durable=False) as session:
        entries = session.entries([key])
        if not entries:
            raise errors.NotFound(f"{key} not found")
        # of several with one name the live one
        entry = min(entries, key=lambda each: each.desired.deleting_at or 0.0)
        answer = session.rendered(entry.desired.uid)
        # by its object's key: so the journal of the container tells of it
        job.uid, job.cause = entry.desired.uid, f"asked to send {signals.name(number)}"
        job.number = session.journal.begin(
            job.name, str(key), job.uid, job.cause, job.attempt, parts.clock.now().wall, str(job.caller or "")
        )
    parts.exec.signal(_running(parts, entry), number)
    parts.look([key])
    return {"object": answer}


def _running(parts: Parts, entry: Entry) -> str:
    """The id of the incarnation that runs, by what the driver says now."""
    observed = entry.observed
    if isinstance(observed, ContainerObserved) and observed.incarnation is not None:
        id = observed.incarnation.id
        if parts.exec.inspect(id).status == "running":
            return id
    raise errors.Conflict(f"{entry.desired.key} does not run: there is no process to send a signal to")
