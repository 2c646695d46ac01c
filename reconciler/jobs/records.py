"""Events and the journal of jobs."""

from __future__ import annotations

from typing import Any

import msgspec

from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.kinds import render
from reconciler.model.jobs import JobRecord
from reconciler.requests import records as asked


def events(parts: Parts, job: Job) -> dict[str, Any]:
    request = msgspec.convert(job.args, asked.Events)
    with parts.store.snapshot() as session:
        return {"items": [render.event(record) for record in session.events.find(request.key, request.limit)]}


def jobs(parts: Parts, job: Job) -> dict[str, Any]:
    request = msgspec.convert(job.args, asked.Jobs)
    with parts.store.snapshot() as session:
        found = session.journal.find(request.key, request.limit)
    return {"items": [_with_progress(parts, record) for record in found]}


def _with_progress(parts: Parts, record: JobRecord) -> dict[str, Any]:
    transfer = parts.images.running.of_job(record.id) if record.status == "running" else None
    return render.job(record) | ({} if transfer is None else {"progress": transfer.summary()})
