"""The plan that shows beforehand what a write would do."""

from __future__ import annotations

from typing import Any

import msgspec

from reconciler import manifest
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.jobs import writing
from reconciler.model.objects import Desired, Document, Owner
from reconciler.requests import objects as asked
from reconciler.store.base import Session


def plan(parts: Parts, job: Job) -> dict[str, Any]:
    """The plan for a set of documents, or for their deletion: the same planner, over the same state, changing
    nothing."""
    request = msgspec.convert(job.args, asked.Preview)
    documents = [manifest.check(document) for document in request.documents]
    with parts.store.snapshot() as session:
        if request.delete:
            return writing.plan_text(parts, session, {}, {document.key for document in documents})
        wanted = {document.key: _planned(parts, session, document, request.manager) for document in documents}
        writing.admit(session, wanted)
        return writing.plan_text(parts, session, wanted, set())


def _planned(parts: Parts, session: Session, document: Document, manager: str) -> Desired:
    """The object as it would be. What a file owns is shown as if that file held this version."""
    live = session.objects.live(document.key)
    if live is not None and live.owner.source == writing.API:
        document = writing.combined(session, live, document, asked.Apply(document={}, manager=manager))
    return writing.drafted(parts, live, document, Owner(writing.API, manager))
