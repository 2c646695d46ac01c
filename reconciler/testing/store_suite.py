"""What every store must do. A store's test subclasses ``StoreSuite`` and gives it the fixture ``store``."""

from __future__ import annotations

import threading

import pytest

from reconciler import errors
from reconciler.kinds import render
from reconciler.store.base import Store
from reconciler.testing.store_samples import FILE, create, running


class StoreSuite:
    """Sessions, atomicity, revisions and listeners."""

    def test_a_new_store_is_empty(self, store: Store) -> None:
        with store.snapshot() as session:
            assert (session.changes.latest(), session.changes.oldest()) == (0, 0)
            assert session.changes.since(0) == []
            assert session.entries() == []

    def test_an_exception_takes_everything_back(self, store: Store) -> None:
        with pytest.raises(ZeroDivisionError):
            _create_and_fail(store)
        with store.snapshot() as session:
            assert session.entries() == []
            assert session.changes.latest() == 0
            assert session.facts.get("a") is None

    def test_a_snapshot_keeps_its_state_while_others_commit(self, store: Store) -> None:
        with store.snapshot() as before:
            with store.transaction() as session:
                create(session)
            assert before.entries() == []
            assert before.changes.latest() == 0
        with store.snapshot() as after:
            assert len(after.entries()) == 1

    def test_a_snapshot_does_not_see_an_open_transaction(self, store: Store) -> None:
        with store.transaction() as session:
            create(session)
            with store.snapshot() as other:
                assert other.entries() == []

    def test_a_transaction_sees_its_own_writes(self, store: Store) -> None:
        with store.transaction() as session:
            uid = create(session).uid
            session.observed.put(uid, running(uid))
            assert session.changes.latest() == 2
            assert session.rendered(uid)["status"]["phase"] == "Running"

    def test_a_snapshot_cannot_write(self, store: Store) -> None:
        with store.snapshot() as session:
            with pytest.raises(RuntimeError, match="transaction"):
                session.facts.put("a", 1)

    def test_a_transaction_in_a_transaction_is_refused(self, store: Store) -> None:
        with store.transaction() as session:
            with pytest.raises(RuntimeError, match="inside a transaction already"):
                store.checkpoint()
            with pytest.raises(RuntimeError, match="inside a transaction already"):
                with store.transaction():
                    raise AssertionError("a second transaction began")
            create(session)
        with store.snapshot() as snapshot:
            assert len(snapshot.entries()) == 1

    def test_a_session_is_over_after_its_block(self, store: Store) -> None:
        with store.transaction() as written:
            create(written)
        with store.snapshot() as read:
            assert len(read.entries()) == 1
        for session in (written, read):
            with pytest.raises(RuntimeError, match="session is over"):
                session.entries()

    def test_listeners_hear_of_the_latest_revision_after_the_commit(self, store: Store) -> None:
        heard: list[tuple[int, int]] = []

        def listen(revision: int) -> None:
            with store.snapshot() as session:
                heard.append((revision, session.changes.latest()))

        forget = store.on_change(listen)
        with store.transaction() as session:
            create(session, "a")
            create(session, "b")
            assert heard == []
        with store.transaction() as session:
            session.facts.put("no", "revision")
        assert heard == [(2, 2)]
        forget()
        with store.transaction() as session:
            create(session, "c")
        assert heard == [(2, 2)]

    def test_a_listener_that_fails_undoes_nothing_and_keeps_nobody_from_hearing(self, store: Store) -> None:
        heard: list[int] = []
        store.on_change(_fail)
        store.on_change(heard.append)
        with store.transaction() as session:
            create(session)
        assert heard == [1]

    def test_a_rolled_back_revision_is_given_again(self, store: Store) -> None:
        with pytest.raises(ZeroDivisionError):
            _create_and_fail(store)
        with store.transaction() as session:
            assert create(session).revision == 1

    def test_a_closed_store_refuses_clearly_and_closes_twice(self, store: Store) -> None:
        store.close()
        store.close()
        with pytest.raises(errors.Temporary, match="closed"):
            with store.transaction():
                raise AssertionError("a transaction began")
        with pytest.raises(errors.Temporary, match="closed"):
            with store.snapshot():
                raise AssertionError("a snapshot was made")

    def test_many_threads_lose_no_update(self, store: Store) -> None:
        threads = [threading.Thread(target=_count_up, args=(store, 25)) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with store.snapshot() as session:
            assert session.facts.get("count") == 500

    def test_snapshots_of_many_threads_are_each_consistent(self, store: Store) -> None:
        with store.transaction() as session:
            uids = [create(session, f"c{number}").uid for number in range(5)]
        broken: list[object] = []
        done = threading.Event()
        readers = [threading.Thread(target=_check_equal, args=(store, broken, done)) for _ in range(4)]
        for reader in readers:
            reader.start()
        for pid in range(1, 60):
            with store.transaction(durable=False) as session:
                for uid in uids:
                    session.observed.put(uid, running(uid, pid))
        done.set()
        for reader in readers:
            reader.join()
        assert broken == []

    def test_rendered_is_what_the_change_and_the_entry_say(self, store: Store) -> None:
        with store.transaction() as session:
            uid = create(session).uid
            session.observed.put(uid, running(uid))
        with store.snapshot() as session:
            (entry,) = session.entries()
            shown = session.rendered(uid)
            assert shown == render.api_object(entry.desired, entry.observed)
            assert shown == session.changes.since(0)[-1].object
            assert shown["status"]["owner"] == {"source": FILE.source, "item": FILE.item}
            with pytest.raises(errors.NotFound):
                session.rendered("nobody")


def _fail(revision: int) -> None:
    raise ZeroDivisionError


def _create_and_fail(store: Store) -> None:
    with store.transaction() as session:
        create(session)
        session.facts.put("a", 1)
        raise ZeroDivisionError


def _count_up(store: Store, times: int) -> None:
    for _ in range(times):
        with store.transaction(durable=False) as session:
            session.facts.put("count", (session.facts.get("count") or 0) + 1)


def _check_equal(store: Store, broken: list[object], done: threading.Event) -> None:
    while not done.is_set():
        with store.snapshot() as session:
            pids = {getattr(entry.observed, "pid", None) for entry in session.entries()}
            found = {change.uid: change.object for change in session.changes.since(0, 10_000)}
            shown = {uid: session.rendered(uid) for uid in found}
        if len(pids) != 1 or found != shown:
            broken.append(pids)
