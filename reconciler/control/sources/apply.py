"""Carries decisions out in the store; each transaction is atomic and durable."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from reconciler import failpoints
from reconciler.control.sources.ledger import facts
from reconciler.model.keys import Key
from reconciler.model.objects import BUILTIN, Desired, Document, Owner, SourceNote, may_take_over
from reconciler.store.base import Session, Store

#: files put in one transaction: bounds how long other writers wait
BATCH = 100


class Outcome(NamedTuple):
    """``changed``: keys to reconcile. ``rejected``: files whose objects another owner holds: path → key → owner.
    ``in_force``: objects that the puts created or took over; ``gone``: objects that are no longer in force."""

    changed: list[Key]
    rejected: dict[str, dict[Key, str]]
    in_force: dict[Key, facts.Holding]
    gone: list[Key]


class Applier:
    """Writes for the source ``name``. ``on_keys`` receives the changed objects of each transaction once it is on
    disk."""

    def __init__(self, name: str, store: Store, on_keys: Callable[[list[Key]], None]) -> None:
        self._name, self._store, self._on_keys = name, store, on_keys

    def apply(self, decisions: facts.Decisions, wall: float) -> Outcome:
        """Puts first and removes afterwards, so that an object that moves between files always exists."""
        outcome = Outcome([], {}, {}, [])
        news = self._news(decisions.puts, outcome)
        for start in range(0, len(news), BATCH):
            puts = news[start : start + BATCH]
            self._commit(functools.partial(self._put_all, puts=puts, outcome=outcome, wall=wall))
        if decisions.removals or decisions.forget or decisions.memory is not None:
            self._commit(lambda session: self._remove_all(session, decisions, outcome, wall))
        return outcome

    def remark(
        self, remarks: facts.Remarks, contested: Sequence[tuple[Key, str]], wall: float
    ) -> dict[Key, facts.Holding]:
        """Writes what objects say of their file, with an event for each that has something new to say, and the events
        of contested objects of others. Returns the source's objects that changed."""
        changed: dict[Key, facts.Holding] = {}
        for start in range(0, len(remarks), BATCH):
            part = remarks[start : start + BATCH]
            self._commit(functools.partial(self._remark_all, remarks=part, changed=changed, wall=wall))
        if contested:
            self._commit(functools.partial(self._contest_all, contested=contested, wall=wall))
        return changed

    def _commit(self, work: Callable[[Session], list[Key]]) -> None:
        with self._store.transaction() as session:
            keys = work(session)
            failpoints.hit("sources.commit.before")
        failpoints.hit("sources.commit.after")
        if keys:
            self._on_keys(keys)

    def _news(self, puts: Sequence[facts.Put], outcome: Outcome) -> list[facts.Put]:
        """The puts that change anything; the store is not written for the others."""
        if not puts:
            return []
        with self._store.snapshot() as session:
            known = session.sources.files(self._name)
            return [
                put
                for put in puts
                if known.get(put.path) != (put.digest, put.problems) or not self._stands(session, put, outcome)
            ]

    def _stands(self, session: Session, put: facts.Put, outcome: Outcome) -> bool:
        owner = Owner(self._name, put.path)
        for document in put.documents:
            live = session.objects.live(document.key)
            if live is None or not _same(live, document, owner):
                return False
            outcome.in_force[document.key] = holding(live)
        return True

    def _put_all(self, session: Session, puts: Sequence[facts.Put], outcome: Outcome, wall: float) -> list[Key]:
        changed = []
        for put in puts:
            lives = {document.key: session.objects.live(document.key) for document in put.documents}
            theirs = {
                key: str(live.owner)
                for key, live in lives.items()
                if live is not None and not self._may_have(live, put)
            }
            if theirs:
                outcome.rejected[put.path] = theirs
                continue
            for document in put.documents:
                changed += self._put(session, put.path, document, lives[document.key], outcome, wall)
            session.sources.put_file(self._name, put.path, put.digest, put.problems)
        outcome.changed.extend(changed)
        return changed

    def _may_have(self, live: Desired, put: facts.Put) -> bool:
        """Whether the object may be this source's, as the file's new version wants it."""
        wanted = next(document for document in put.documents if document.key == live.key)
        return live.owner.source in (self._name, BUILTIN) or may_take_over(wanted.annotations, live)

    def _put(
        self, session: Session, path: str, document: Document, live: Desired | None, outcome: Outcome, wall: float
    ) -> list[Key]:
        owner = Owner(self._name, path)
        content = document.labels, document.annotations, document.spec, owner
        if live is None:
            made = session.objects.create(document.key, *content, wall)
        elif not _same(live, document, owner):
            made = session.objects.replace(live.uid, *content)
            if live.owner.source not in (self._name, BUILTIN):
                self._took_over(session, live, owner, wall)
        else:
            outcome.in_force[document.key] = holding(live)
            return []
        outcome.in_force[document.key] = holding(made)
        return [document.key]

    def _took_over(self, session: Session, live: Desired, owner: Owner, wall: float) -> None:
        """The former owners' shares of the object end: what the file says is all of it."""
        for manager in session.objects.applied(live.uid):
            session.objects.set_applied(live.uid, manager, None)
        message = f"{owner} has taken it over from {live.owner}"
        session.events.record(str(live.key), live.uid, "Normal", "OwnerChanged", message, wall)

    def _remark_all(
        self, session: Session, remarks: facts.Remarks, changed: dict[Key, facts.Holding], wall: float
    ) -> list[Key]:
        for key, remark in remarks:
            live = session.objects.live(key)
            if live is None or live.owner.source != self._name:
                continue
            if _remark(live) != remark:
                since = live.note.since if live.note is not None else wall
                note = SourceNote(remark.reason, remark.message, since) if remark is not None else None
                live = session.objects.set_note(live.uid, note)
                if remark is not None:
                    session.events.record(str(key), live.uid, "Warning", remark.reason, remark.message, wall)
            changed[key] = holding(live)
        # nothing has to be done to the objects for it
        return []

    def _contest_all(self, session: Session, contested: Sequence[tuple[Key, str]], wall: float) -> list[Key]:
        for key, message in contested:
            live = session.objects.live(key)
            if live is not None:
                session.events.record(str(key), live.uid, "Warning", "SecondClaim", message, wall)
        return []

    def _remove_all(self, session: Session, decisions: facts.Decisions, outcome: Outcome, wall: float) -> list[Key]:
        removed = []
        for removal in decisions.removals:
            outcome.gone.append(removal.key)
            live = session.objects.live(removal.key)
            if live is not None and live.uid == removal.uid and live.owner.source == self._name:
                session.objects.mark_deleting(removal.uid, wall)
                removed.append(removal.key)
        for path in decisions.forget:
            session.sources.remove_file(self._name, path)
        if decisions.memory is not None:
            session.sources.remember(self._name, msgspec.to_builtins(decisions.memory))
        outcome.changed.extend(removed)
        return removed


def holding(desired: Desired) -> facts.Holding:
    """The object as the ledger knows it."""
    return facts.Holding(desired.uid, desired.owner.item, desired.created_at, _remark(desired))


def _remark(desired: Desired) -> facts.Remark | None:
    return facts.Remark(desired.note.reason, desired.note.message) if desired.note is not None else None


def _same(live: Desired, document: Document, owner: Owner) -> bool:
    return (live.labels, live.annotations, live.spec, live.owner) == (
        document.labels,
        document.annotations,
        document.spec,
        owner,
    )
