"""The plan that shows beforehand what a write would do."""

from __future__ import annotations

from typing import Any

import msgspec

from reconciler import manifest
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.jobs import writing
from reconciler.model.objects import BUILTIN, Desired, Owner
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
        drafts = zip(documents, request.documents, strict=True)
        wanted = {draft[0].key: _planned(parts, session, draft, request.manager) for draft in drafts}
        writing.admit(session, wanted)
        return writing.plan_text(parts, session, wanted, set())


def _planned(parts: Parts, session: Session, draft: writing.Draft, manager: str) -> Desired:
    """The object as an apply would make it, refused where that would be (dependencies are judged when all documents
    are known). In the name of the file that owns it, it is what that file would make of it."""
    document, raw = draft
    live = session.objects.live(document.key)
    if live is not None and live.owner.source not in (writing.API, BUILTIN) and str(live.owner) == manager:
        return writing.drafted(parts, live, document, live.owner)
    writing.check_claim(live, document, manager)
    writing.check_revision(session, live, raw)
    merged = writing.combined(session, live, document, asked.Apply(document={}, manager=manager))
    return writing.drafted(parts, live, merged, Owner(writing.API, manager))
