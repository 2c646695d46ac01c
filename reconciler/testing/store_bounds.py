"""What every store must do so that no table and no answer grows without bound; used as ``store_suite`` is."""

from __future__ import annotations

import threading

from reconciler.model.keys import Key
from reconciler.store.base import Place, Store
from reconciler.store.entries import PAGE
from reconciler.store.events import MOST_OF_KEY
from reconciler.testing.store_samples import API, SPEC, create


class BoundsSuite:
    """Pages, listeners, floods, long texts."""

    def test_the_last_change_of_objects_before_a_revision(self, store: Store) -> None:
        with store.transaction() as session:
            first, second = create(session, "a"), create(session, "b")
            session.objects.mark_deleting(first.uid, 5.0)
            session.objects.purge(first.uid)
            found = session.changes.last([first.uid, second.uid, "unknown"], 3)
            assert {uid: change.revision for uid, change in found.items()} == {first.uid: 3, second.uid: 2}
            assert "deletionTimestamp" in found[first.uid].object["metadata"]
            assert session.changes.last([first.uid], 0) == {}
            session.changes.compact(1)
            assert session.changes.last([second.uid], 4) == {}

    def test_pages_are_of_one_kind_and_go_on_from_a_place(self, store: Store) -> None:
        with store.transaction() as session:
            for number in range(PAGE + 3):
                create(session, f"c{number:04}")
            other = session.objects.create(Key("Container", "other", "z"), {}, {}, SPEC, API, 1.0)
            session.objects.create(Key("Image", "", "i"), {}, {}, {"reference": "x"}, API, 1.0)
        with store.snapshot() as session:
            pages = list(session.pages("Container"))
            assert [len(page) for page in pages] == [PAGE, 4]
            last = pages[0][-1].desired
            after = Place(last.key.namespace, last.key.name, last.uid)
            assert list(session.pages("Container", after=after)) == pages[1:]
            assert [entry.desired.uid for page in session.pages("Container", "other") for entry in page] == [other.uid]
            inside = [entry.desired.key.name for page in session.pages("Container", "default", after) for entry in page]
            assert inside == [f"c{number:04}" for number in range(PAGE, PAGE + 3)]
            assert [entry.desired.key.name for page in session.pages("Image") for entry in page] == ["i"]
            assert list(session.pages("Network")) == []

    def test_a_listener_that_was_forgotten_is_not_called_nor_being_called(self, store: Store) -> None:
        inside, go, called = threading.Event(), threading.Event(), list[int]()

        def callback(revision: int) -> None:
            inside.set()
            go.wait(10)
            called.append(revision)

        forget = store.on_change(callback)
        writer = threading.Thread(target=lambda: write_one(store, "a"))
        writer.start()
        assert inside.wait(10)
        ended = threading.Thread(target=forget)
        ended.start()
        ended.join(0.05)
        assert ended.is_alive(), "forgetting waits for a call that has begun"
        go.set()
        ended.join(10)
        writer.join(10)
        assert called == [1]
        write_one(store, "b")
        assert called == [1]

    def test_a_flood_about_one_object_pushes_out_its_own_events_alone(self, store: Store) -> None:
        with store.transaction() as session:
            quiet = create(session, "quiet").uid
            session.events.record("container/default/quiet", quiet, "Normal", "Started", "once", 1.0)
            for number in range(MOST_OF_KEY + 50):
                session.events.record("container/default/loud", "u", "Warning", "Failed", f"try {number}", 2.0 + number)
            loud = session.events.find("container/default/loud")
            assert [event.message for event in loud] == [f"try {number}" for number in range(50, MOST_OF_KEY + 50)]
            assert len(session.events.find("container/default/quiet")) == 1

    def test_a_flood_about_many_objects_leaves_each_its_newest(self, store: Store) -> None:
        with store.transaction() as session:
            live = {name: create(session, name).uid for name in ("a", "b", "c")}
            session.events.record("a", live["a"], "Normal", "Started", "once", 1.0)
            for number in range(40):
                for name in ("b", "c"):
                    session.events.record(name, live[name], "Warning", "Failed", f"{name}{number}", 2.0 + number)
                session.events.record(f"gone{number}", f"u{number}", "Normal", "Removed", "gone", 100.0)
            assert session.events.trim(9) == 121 - 9
            assert sorted(event.message for event in session.events.find()) == [
                "b36", "b37", "b38", "b39", "c36", "c37", "c38", "c39", "once",
            ]  # fmt: skip
            assert session.events.trim(2) == 7
            assert {event.key for event in session.events.find()} < {"a", "b", "c"}
            assert len({event.key for event in session.events.find()}) == 2

    def test_long_results_and_errors_are_cut(self, store: Store) -> None:
        with store.transaction() as session:
            row = session.journal.begin("list", "", "", "", 1, 1.0, "uid 0 gid 0 pid 7")
            session.journal.end(row, "failed", 2.0, error="e" * 100_000, output="o" * 5_000_000)
            (found,) = session.journal.find()
        assert len(found.error) + len(found.output) < 9000
        assert found.output.endswith("… (5000000 characters)")
        assert found.caller == "uid 0 gid 0 pid 7"


def write_one(store: Store, name: str) -> None:
    with store.transaction() as session:
        create(session, name)
