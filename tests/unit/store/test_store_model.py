"""Random histories against a model in plain dictionaries: state, revisions, and what a watch would have seen."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from reconciler import errors
from reconciler.kinds.container.observed import ContainerObserved
from reconciler.model.objects import Desired, Override, SourceNote
from reconciler.store.base import Session
from reconciler.testing.store import memory_store
from reconciler.testing.store_samples import API, FILE, key

_NAMES = st.sampled_from(["a", "b", "c"])
_SPECS = st.sampled_from([{"image": "x"}, {"image": "y"}, {"image": "y", "env": [{"name": "ä", "value": "\x00"}]}])
_LABELS = st.dictionaries(st.sampled_from(["p", "q"]), st.sampled_from(["1", "2"]), max_size=2)
_OWNERS = st.sampled_from([FILE, API])
_TIMES = st.floats(0, 4e9, allow_nan=False)
_NOTES = st.none() | st.builds(SourceNote, st.sampled_from(["Invalid", "Empty"]), st.just("a.yaml:1:1: ä"), _TIMES)
_OBSERVED = st.builds(
    ContainerObserved,
    pid=st.integers(0, 3),
    failures=st.integers(0, 2),
    started_at=_TIMES,
    next_start_mono=st.floats(0, 1e6),
    phase=st.sampled_from(["Pending", "Running"]),
)


class Histories(RuleBasedStateMachine):
    """Each rule is a transaction; ``watched`` is kept by applying changes, ``model`` by what the calls returned."""

    uids = Bundle("uids")

    def __init__(self) -> None:
        super().__init__()
        self.store = memory_store()
        self.model: dict[str, Desired] = {}
        self.seen: dict[str, ContainerObserved] = {}
        self.watched: dict[str, dict[str, Any]] = {}
        self.revision = 0
        self.compacted = 0

    def teardown(self) -> None:
        self.store.close()

    @rule(target=uids, name=_NAMES, labels=_LABELS, spec=_SPECS, owner=_OWNERS, now=_TIMES)
    def create(self, name: str, labels: dict[str, str], spec: dict[str, Any], owner: Any, now: float) -> Any:
        taken = any(one.key == key(name) and one.deleting_at is None for one in self.model.values())
        try:
            with self.store.transaction() as session:
                made = session.objects.create(key(name), labels, {}, spec, owner, now)
        except errors.Conflict:
            assert taken
            return multiple()
        assert not taken
        self.model[made.uid] = made
        return made.uid

    @rule(uid=uids, labels=_LABELS, spec=_SPECS, owner=_OWNERS)
    def replace(self, uid: str, labels: dict[str, str], spec: dict[str, Any], owner: Any) -> None:
        before = self.model[uid]
        try:
            with self.store.transaction() as session:
                after = session.objects.replace(uid, labels, {}, spec, owner)
        except errors.Conflict:
            assert before.deleting_at is not None
            return
        assert after.generation == before.generation + (spec != before.spec)
        assert (after.labels, after.spec, after.owner) == (labels, spec, owner)
        assert after.note == (before.note if owner.source == before.owner.source else None)
        self._put(before, after)

    @rule(uid=uids, stopped=st.booleans(), restart=st.integers(0, 2))
    def override(self, uid: str, stopped: bool, restart: int) -> None:
        with self.store.transaction() as session:
            after = session.objects.set_override(uid, Override(stopped, restart))
        assert after.override == Override(stopped, restart)
        self._put(self.model[uid], after)

    @rule(uid=uids, note=_NOTES)
    def remark(self, uid: str, note: SourceNote | None) -> None:
        with self.store.transaction() as session:
            after = session.objects.set_note(uid, note)
        assert (after.note, after.generation) == (note, self.model[uid].generation)
        self._put(self.model[uid], after)

    @rule(uid=uids, observed=_OBSERVED)
    def observe(self, uid: str, observed: ContainerObserved) -> None:
        with self.store.transaction(durable=False) as session:
            session.observed.put(uid, observed)
            after = session.objects.get(uid)
        assert after is not None
        self.seen[uid] = observed
        self.model[uid] = msgspec.structs.replace(self.model[uid], revision=after.revision)

    @rule(uid=uids, now=_TIMES)
    def mark_deleting(self, uid: str, now: float) -> None:
        with self.store.transaction() as session:
            after = session.objects.mark_deleting(uid, now)
        self._put(self.model[uid], after)

    @rule(uid=consumes(uids))
    def purge(self, uid: str) -> None:
        with self.store.transaction() as session:
            session.objects.purge(uid)
        del self.model[uid]
        self.seen.pop(uid, None)

    @rule(uid=uids, observed=_OBSERVED)
    def give_up(self, uid: str, observed: ContainerObserved) -> None:
        """A transaction that does a lot and then fails."""
        try:
            with self.store.transaction() as session:
                session.observed.put(uid, observed)
                session.objects.set_override(uid, Override(restart=99))
                session.objects.purge(uid)
                raise ZeroDivisionError
        except ZeroDivisionError:
            pass

    @rule(keep=st.integers(0, 5))
    def compact(self, keep: int) -> None:
        with self.store.transaction() as session:
            latest = session.changes.latest()
            session.changes.compact(keep)
        self.compacted = max(self.compacted, latest - keep)

    @invariant()
    def agrees(self) -> None:
        with self.store.snapshot() as session:
            self._watch(session)
            entries = session.entries()
            shown = {entry.desired.uid: session.rendered(entry.desired.uid) for entry in entries}
            assert session.objects.find() == [entry.desired for entry in entries]
            assert session.changes.oldest() == self.compacted
        assert {entry.desired.uid: entry.desired for entry in entries} == self.model
        assert {entry.desired.uid: entry.observed for entry in entries if entry.observed} == self.seen
        order = [(entry.desired.key, entry.desired.uid) for entry in entries]
        assert order == sorted(order)
        assert self.watched == shown

    def _watch(self, session: Session) -> None:
        """What a client does that watches; after a compaction that it missed it lists anew."""
        latest = session.changes.latest()
        try:
            changes = session.changes.since(self.revision, 3)
            while changes and changes[-1].revision < latest:
                changes += session.changes.since(changes[-1].revision, 3)
        except errors.Expired:
            assert self.revision < self.compacted
            self.watched = {entry.desired.uid: session.rendered(entry.desired.uid) for entry in session.entries()}
            self.revision = latest
            return
        for change in changes:
            self.revision += 1
            assert change.revision == self.revision
            assert (change.type == "ADDED") == (change.uid not in self.watched)
            self.watched[change.uid] = change.object
            if change.type == "DELETED":
                del self.watched[change.uid]
        assert self.revision == latest

    def _put(self, before: Desired, after: Desired) -> None:
        same = msgspec.structs.replace(after, revision=before.revision) == before
        assert (after.revision == before.revision) == same
        assert after.revision >= before.revision
        self.model[after.uid] = after


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
