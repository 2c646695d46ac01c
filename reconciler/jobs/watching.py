"""Watches: changes after a revision, read from the changes table, woken by the store."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from reconciler.engine import waiting
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.images import watched_progress
from reconciler.jobs import listing, selecting
from reconciler.jobs.selecting import Matches
from reconciler.model import kinds
from reconciler.model.jobs import Change
from reconciler.requests import objects as asked

_BATCH = 500
#: a watch that hears nothing tells its caller the present revision this often, seconds
_BOOKMARK_EVERY = 60.0
#: seconds of one wait, so that a daemon that stops is noticed
_LONGEST = 1.0


def watch(parts: Parts, job: Job) -> dict[str, Any]:
    """Streams changes until the caller leaves, its time is over, or the daemon stops."""
    request = msgspec.convert(job.args, asked.Watch)
    selection = Selection(request)
    with _wakeups(parts) as wakeup:
        if request.revision:
            with parts.store.snapshot() as session:
                session.changes.since(request.revision, 1)
        job.started()
        revision = request.revision or _emit_present(parts, job, request, selection)
        deadline = time.monotonic() + request.timeout if request.timeout else float("inf")
        bookmark = time.monotonic() + _BOOKMARK_EVERY
        pulling = None
        if request.progress:
            pulling = watched_progress.WatchedProgress(parts.images, request.kind, selection.matches)
        while not job.gone() and not job.stopping.is_set() and time.monotonic() < deadline:
            revision, more = _emit_changes(parts, job, selection, revision)
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


class Selection:
    """The objects that a watch is about, and which of them its caller knows.

    An object may begin to match a selector, or no longer match: to the caller it appears, or disappears. What it was
    before is known from what was sent, or, of an object that this watch has not seen yet, from its last change.
    """

    def __init__(self, request: asked.Watch) -> None:
        self._kind = kinds.find(request.kind)
        self._selects = bool(request.label_selector or request.field_selector)
        self.matches: Matches = selecting.matcher(
            request.kind, request.namespace, request.label_selector, request.field_selector
        )
        #: uid → whether the caller knows the object
        self._known: dict[str, bool] = {}
        #: whether all that the caller knows is in ``_known``
        self._whole = False

    def began_with(self, uids: set[str]) -> None:
        """The caller was sent these, and knows no others."""
        if self._selects:
            self._known, self._whole = dict.fromkeys(uids, True), True

    def unseen(self, changes: list[Change]) -> list[str]:
        """Objects whose former state decides what is sent, and that only the store can tell."""
        if not self._selects or self._whole:
            return []
        return [each.uid for each in changes if self._about(each) and each.uid not in self._known]

    def learn(self, former: dict[str, Change], uids: list[str]) -> None:
        """What those objects were before the changes that are looked at now. One whose last change was compacted may
        have matched: a caller who does not know it can ignore that it goes."""
        for uid in uids:
            change = former.get(uid)
            self._known[uid] = change is None or (change.type != "DELETED" and self.matches(change.object))

    def event(self, change: Change) -> dict[str, Any] | None:
        """What the caller is sent, None for nothing."""
        if not self._about(change):
            return None
        matches = self.matches(change.object)
        if not self._selects:
            return {"type": change.type, "object": change.object} if matches else None
        knew = change.type != "ADDED" and self._known.get(change.uid, False)
        if change.type == "DELETED":
            self._known.pop(change.uid, None)
        else:
            self._known[change.uid] = matches
        return _event(change, knew, matches and change.type != "DELETED")

    def _about(self, change: Change) -> bool:
        return bool(change.object.get("kind") == self._kind.name)


def _event(change: Change, knew: bool, knows: bool) -> dict[str, Any] | None:
    if not knew and not knows:
        return None
    kind = "MODIFIED" if knew and knows else "ADDED" if knows else "DELETED"
    return {"type": kind, "object": change.object}


def _emit_present(parts: Parts, job: Job, request: asked.Watch, selection: Selection) -> int:
    question = listing.Question(request.kind, request.namespace)
    with listing.chosen(parts, question, selection.matches) as (found, share):
        selection.began_with(found.uids)
        while found.pieces:
            for piece in found.pieces.popleft():
                job.emit({"type": "ADDED", "object": msgspec.Raw(piece)})
                share.give(len(piece))
        return found.revision


def _emit_changes(parts: Parts, job: Job, selection: Selection, revision: int) -> tuple[int, bool]:
    with parts.store.snapshot() as session:
        changes = session.changes.since(revision, _BATCH)
        if unseen := selection.unseen(changes):
            selection.learn(session.changes.last(unseen, revision), unseen)
    for change in changes:
        event = selection.event(change)
        if event is not None:
            job.emit(event)
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
        # from here on the store writes no more to a number that may soon be another's
        forget()
        os.close(fd)


def _wait(job: Job, wakeup: int, seconds: float) -> None:
    if wakeup in waiting.readable([wakeup, job.gone_fd], min(seconds, _LONGEST)):
        os.eventfd_read(wakeup)
