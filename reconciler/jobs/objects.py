"""Objects of any kind: one, or a list."""

from __future__ import annotations

from typing import Any

import msgspec

from reconciler import errors
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.jobs import listing, selecting
from reconciler.model.keys import Key
from reconciler.requests import objects as asked


def get(parts: Parts, job: Job) -> dict[str, Any]:
    request = msgspec.convert(job.args, asked.Get)
    key = Key.of(request.kind, request.name, request.namespace)
    with parts.store.snapshot() as session:
        found = session.entries([key])
        if not found:
            raise errors.NotFound(f"{key} not found")
        # of several with one name the live one, else the one that has been terminating longest
        chosen = min(found, key=lambda entry: (entry.desired.deleting_at is not None, entry.desired.deleting_at or 0.0))
        return parts.images.running.put_into(session.rendered(chosen.desired.uid))


def list_(parts: Parts, job: Job) -> dict[str, Any]:
    """The head first, then the objects, some at once. What the caller has read takes no room any more."""
    request = msgspec.convert(job.args, asked.List)
    matches = selecting.matcher(request.kind, request.namespace, request.label_selector, request.field_selector)
    question = listing.Question(request.kind, request.namespace, request.limit, request.continue_)
    with listing.chosen(parts, question, matches) as (found, share):
        job.emit({"revision": found.revision, "continue": found.token})
        while found.pieces:
            piece = found.pieces.popleft()
            job.emit([msgspec.Raw(each) for each in piece])
            share.give(sum(map(len, piece)))
    return {}
