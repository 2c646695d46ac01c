"""Jobs that only ask: get, list, watch, events, jobs, version, ping, commands, sources, ack."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from reconciler import errors
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.images import watched_progress
from reconciler.kinds import render
from reconciler.model import kinds, requests, selectors
from reconciler.model.jobs import JobRecord
from reconciler.model.keys import Key

_BATCH = 500
#: a watch that hears nothing tells its caller the present revision this often, seconds
_BOOKMARK_EVERY = 60.0


def get(parts: Parts, job: Job) -> dict[str, Any]:
    request = msgspec.convert(job.args, requests.Get)
    key = Key.of(request.kind, request.name, request.namespace)
    with parts.store.snapshot() as session:
        found = session.entries([key])
        if not found:
            raise errors.NotFound(f"{key} not found")
        # of several with one name the live one, else the one that has been terminating longest
        chosen = min(found, key=lambda entry: (entry.desired.deleting_at is not None, entry.desired.deleting_at or 0.0))
        return parts.images.running.put_into(session.rendered(chosen.desired.uid))


def list_(parts: Parts, job: Job) -> dict[str, Any]:
    request = msgspec.convert(job.args, requests.List)
    matches = _matcher(request.kind, request.namespace, request.label_selector, request.field_selector)
    kind = kinds.find(request.kind).name
    with parts.store.snapshot() as session:
        revision = session.changes.latest()
        entries = [entry for entry in session.entries() if entry.desired.key.kind == kind]
    items = [parts.images.running.put_into(render.api_object(entry.desired, entry.observed)) for entry in entries]
    chosen = [item for item in items if matches(item)]
    chosen.sort(key=lambda item: (item["metadata"].get("namespace", ""), item["metadata"]["name"]))
    return {"revision": revision, "items": chosen}


def watch(parts: Parts, job: Job) -> dict[str, Any]:
    """Streams changes after a revision: read from the changes table, woken by the store, ended by the caller's
    leaving."""
    request = msgspec.convert(job.args, requests.Watch)
    matches = _matcher(request.kind, request.namespace, request.label_selector, request.field_selector)
    with _wakeups(parts) as wakeup:
        if request.revision:
            with parts.store.snapshot() as session:
                session.changes.since(request.revision, 1)
        job.started()
        revision = request.revision or _emit_present(parts, job, request)
        deadline = time.monotonic() + request.timeout if request.timeout else float("inf")
        bookmark = time.monotonic() + _BOOKMARK_EVERY
        pulling = watched_progress.WatchedProgress(parts.images, request.kind, matches) if request.progress else None
        while not job.gone() and not job.stopping.is_set() and time.monotonic() < deadline:
            revision, more = _emit_changes(parts, job, request, matches, revision)
            if more:
                continue
            for obj in pulling.due() if pulling is not None else ():
                job.emit({"type": "MODIFIED", "object": obj})
            if time.monotonic() >= bookmark:
                job.emit(_bookmark(request.kind, revision))
                bookmark = time.monotonic() + _BOOKMARK_EVERY
            tick = watched_progress.EVERY if pulling is not None and parts.images.running else float("inf")
            _wait(job, wakeup, min(deadline - time.monotonic(), bookmark - time.monotonic(), tick))
    return {}


def _emit_present(parts: Parts, job: Job, request: requests.Watch) -> int:
    listing = list_(parts, Job("list", {
        "kind": request.kind, "namespace": request.namespace, "label_selector": request.label_selector,
        "field_selector": request.field_selector,
    }))  # fmt: skip
    for item in listing["items"]:
        job.emit({"type": "ADDED", "object": item})
    return int(listing["revision"])


def _emit_changes(
    parts: Parts, job: Job, request: requests.Watch, matches: Callable[[dict[str, Any]], bool], revision: int
) -> tuple[int, bool]:
    with parts.store.snapshot() as session:
        changes = session.changes.since(revision, _BATCH)
    for change in changes:
        if change.object.get("kind", "").lower() == kinds.find(request.kind).singular and matches(change.object):
            job.emit({"type": change.type, "object": change.object})
        revision = change.revision
    return revision, len(changes) == _BATCH


def _bookmark(kind: str, revision: int) -> dict[str, Any]:
    found = kinds.find(kind)
    return {
        "type": "BOOKMARK",
        "object": {"apiVersion": kinds.API_VERSION, "kind": found.name, "metadata": {"resourceVersion": str(revision)}},
    }


@contextmanager
def _wakeups(parts: Parts) -> Iterator[int]:
    """A descriptor that becomes readable when the store has changed."""
    fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    forget = parts.store.on_change(lambda revision: os.eventfd_write(fd, 1))
    try:
        yield fd
    finally:
        forget()
        os.close(fd)


def _wait(job: Job, wakeup: int, seconds: float) -> None:
    watched = [wakeup] + ([job.gone_fd] if job.gone_fd >= 0 else [])
    # bounded, so that a stopping daemon is noticed
    ready, _, _ = select.select(watched, [], [], max(0.0, min(seconds, 1.0)))
    if wakeup in ready:
        os.eventfd_read(wakeup)


def _matcher(kind: str, namespace: str, label_selector: str, field_selector: str) -> Callable[[dict[str, Any]], bool]:
    labels = selectors.parse(label_selector)
    fields = selectors.parse_fields(field_selector)
    wanted = namespace if kinds.find(kind).namespaced else ""

    def matches(item: dict[str, Any]) -> bool:
        metadata = item["metadata"]
        if wanted and metadata.get("namespace") != wanted:
            return False
        return labels.matches(metadata.get("labels") or {}) and fields.matches(item)

    return matches


def events(parts: Parts, job: Job) -> dict[str, Any]:
    request = msgspec.convert(job.args, requests.Events)
    with parts.store.snapshot() as session:
        return {"items": [render.event(record) for record in session.events.find(request.key, request.limit)]}


def jobs(parts: Parts, job: Job) -> dict[str, Any]:
    request = msgspec.convert(job.args, requests.Jobs)
    with parts.store.snapshot() as session:
        found = session.journal.find(request.key, request.limit)
    return {"items": [_with_progress(parts, record) for record in found]}


def _with_progress(parts: Parts, record: JobRecord) -> dict[str, Any]:
    transfer = parts.images.running.of_job(record.id) if record.status == "running" else None
    return render.job(record) | ({} if transfer is None else {"progress": transfer.summary()})


def sources(parts: Parts, job: Job) -> dict[str, Any]:
    return {"items": [item for source in parts.sources for item in source.status()]}


def ack(parts: Parts, job: Job) -> dict[str, Any]:
    request = msgspec.convert(job.args, requests.Ack)
    for source in parts.sources:
        if any(item["name"] == request.name for item in source.status()):
            return {"removed": source.ack(request.name, request.digest)}
    raise errors.NotFound(f"no source named {request.name!r}")


def version(parts: Parts, job: Job) -> dict[str, Any]:
    return dict(parts.version)


def ping(parts: Parts, job: Job) -> dict[str, Any]:
    return {"ready": parts.ready.is_set()}


def commands(parts: Parts, job: Job) -> dict[str, Any]:
    return {"commands": parts.commands()}
