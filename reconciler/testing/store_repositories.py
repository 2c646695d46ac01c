"""What every store's repositories must do; used as ``store_suite`` is."""

from __future__ import annotations

import msgspec
import pytest

from reconciler import errors
from reconciler.kinds.image.observed import ImageObserved
from reconciler.model.keys import Key
from reconciler.model.objects import Override, SourceNote
from reconciler.store.base import Session, Store
from reconciler.testing.store_samples import API, FILE, SPEC, create, image, key, running


class ObjectsSuite:
    """Desired state, observed state, changes."""

    def test_what_was_created_is_read_back_in_every_way(self, store: Store) -> None:
        with store.transaction() as session:
            made = create(session)
        assert (made.generation, made.revision, made.created_at) == (1, 1, 1700000000.125)
        with store.snapshot() as session:
            assert session.objects.get(made.uid) == made
            assert session.objects.live(key()) == made
            assert session.objects.find() == [made]
            assert [entry.desired for entry in session.entries()] == [made]
            assert [entry.desired for entry in session.entries([key()])] == [made]
            assert session.objects.get("nobody") is None
            assert session.objects.live(key("other")) is None
            assert session.entries([key("other")]) == []

    def test_a_taken_name_is_refused_naming_its_owner(self, store: Store) -> None:
        with store.transaction() as session:
            create(session)
            with pytest.raises(errors.Conflict, match=r"container/default/web.*dir:/etc/pydock\.d/web\.yaml"):
                create(session, owner=API)

    def test_find_matches_all_that_is_given_in_order(self, store: Store) -> None:
        with store.transaction() as session:
            for name in ("c", "a", "b"):
                create(session, name, owner=API if name == "b" else FILE)
            session.objects.create(Key.of("image", "nginx"), {}, {}, {"reference": "nginx"}, FILE, 1.0)
            other = session.objects.create(Key.of("container", "a", "prod"), {}, {}, SPEC, FILE, 1.0)
        with store.snapshot() as session:
            objects = session.objects
            every = [
                "container/default/a",
                "container/default/b",
                "container/default/c",
                "container/prod/a",
                "image/nginx",
            ]
            assert [str(found.key) for found in objects.find()] == every
            assert [str(entry.desired.key) for entry in session.entries()] == every
            assert [found.key.name for found in objects.find(kind="Container", source=FILE.source)] == ["a", "c", "a"]
            assert [found.key.name for found in objects.find(source="api", item="kubectl")] == ["b"]
            assert objects.find(namespace="prod") == [other]
            assert objects.find(kind="Network") == []
            assert (objects.some("Container"), objects.some("Network")) == (True, False)

    def test_entries_of_keys_are_each_given_once(self, store: Store) -> None:
        with store.transaction() as session:
            for name in ("a", "b", "c"):
                create(session, name)
            found = session.entries([key("c"), key("a"), key("c"), Key.of("image", "a")])
            assert [entry.desired.key.name for entry in found] == ["a", "c"]

    def test_more_objects_than_a_page_come_whole_and_in_order(self, store: Store) -> None:
        with store.transaction() as session:
            for number in range(601):
                create(session, f"c{number:03}")
        with store.snapshot() as session:
            assert [entry.desired.key.name for entry in session.entries()] == [f"c{number:03}" for number in range(601)]

    def test_generation_counts_changes_of_the_spec_only(self, store: Store) -> None:
        with store.transaction() as session:
            made = create(session)
            labelled = session.objects.replace(made.uid, {"app": "x"}, made.annotations, made.spec, made.owner)
            assert (labelled.generation, labelled.revision) == (1, 2)
            moved = session.objects.replace(made.uid, {"app": "x"}, made.annotations, made.spec, API)
            assert (moved.generation, moved.revision, moved.owner) == (1, 3, API)
            changed = session.objects.replace(made.uid, {"app": "x"}, made.annotations, {"image": "other"}, API)
            assert (changed.generation, changed.revision) == (2, 4)
            assert session.objects.get(made.uid) == changed
            assert session.objects.find(source="api") == [changed]
            assert session.objects.find(source=FILE.source) == []

    def test_writing_the_same_again_takes_no_revision(self, store: Store) -> None:
        with store.transaction() as session:
            made = create(session)
            assert (
                session.objects.replace(made.uid, dict(made.labels), dict(made.annotations), dict(SPEC), FILE) == made
            )
            stopped = session.objects.set_override(made.uid, Override(stopped=True))
            assert session.objects.set_override(made.uid, Override(stopped=True)) == stopped
            going = session.objects.mark_deleting(made.uid, 5.0)
            assert session.objects.mark_deleting(made.uid, 6.0) == going
            assert session.changes.latest() == 3

    def test_an_override_is_kept_beside_the_owners_version(self, store: Store) -> None:
        with store.transaction() as session:
            made = create(session)
            stopped = session.objects.set_override(made.uid, Override(stopped=True, restart=2))
            assert (stopped.generation, stopped.revision) == (1, 2)
            again = session.objects.replace(made.uid, {}, {}, {"image": "other"}, FILE)
            assert again.override == Override(stopped=True, restart=2)
            shown = session.rendered(made.uid)["status"]["override"]
            assert shown == {"stopped": True, "restart": 2}

    def test_a_note_is_shown_and_goes_with_the_source_that_wrote_it(self, store: Store) -> None:
        note = SourceNote("Invalid", "web.yaml:1:1: no", 7.0)
        with store.transaction() as session:
            made = create(session)
            noted = session.objects.set_note(made.uid, note)
            assert (noted.note, noted.generation, noted.revision) == (note, 1, 2)
            assert session.objects.set_note(made.uid, note) == noted
            shown = session.rendered(made.uid)["status"]["conditions"][-1]
            assert (shown["type"], shown["status"], shown["reason"]) == ("Source", "False", "Invalid")
            assert session.objects.replace(made.uid, {}, {}, {"image": "other"}, FILE).note == note
            assert session.objects.replace(made.uid, {}, {}, {"image": "other"}, API).note is None

    def test_a_terminating_object_frees_its_name_for_a_successor(self, store: Store) -> None:
        with store.transaction() as session:
            first = create(session)
            session.objects.mark_deleting(first.uid, 9.5)
            assert session.objects.live(key()) is None
            second = create(session)
            assert session.objects.live(key()) == second
            found = {entry.desired.uid: entry.desired.deleting_at for entry in session.entries([key()])}
            assert found == {first.uid: 9.5, second.uid: None}
            with pytest.raises(errors.Conflict, match="being removed"):
                session.objects.replace(first.uid, {}, {}, {"image": "other"}, FILE)

    def test_purging_leaves_nothing_but_the_last_change(self, store: Store) -> None:
        with store.transaction() as session:
            uid = create(session).uid
            session.observed.put(uid, running(uid))
            session.objects.set_override(uid, Override(restart=1))
            session.objects.set_applied(uid, "kubectl", {"spec": SPEC})
            session.leases.address("net", uid, "10.1.0.0/24", "10.1.0.1")
            session.objects.mark_deleting(uid, 9.0)
            last = session.rendered(uid)
            session.objects.purge(uid)
            session.objects.purge(uid)
        with store.snapshot() as session:
            assert session.entries() == []
            assert session.objects.get(uid) is None
            assert session.observed.get(uid) is None
            assert session.objects.applied(uid) == {}
            assert session.leases.all() == []
            change = session.changes.since(0)[-1]
            assert (change.type, change.revision, change.uid) == ("DELETED", 5, uid)
            last["metadata"]["resourceVersion"] = "5"
            assert change.object == last

    def test_what_is_unknown_is_not_found(self, store: Store) -> None:
        with store.transaction() as session:
            with pytest.raises(errors.NotFound):
                session.objects.replace("nobody", {}, {}, {}, FILE)
            with pytest.raises(errors.NotFound):
                session.objects.set_override("nobody", Override())
            with pytest.raises(errors.NotFound):
                session.objects.mark_deleting("nobody", 1.0)
            with pytest.raises(errors.NotFound):
                session.objects.set_applied("nobody", "m", {})
            with pytest.raises(errors.NotFound):
                session.observed.put("nobody", running("nobody"))

    def test_each_managers_last_version_is_kept(self, store: Store) -> None:
        with store.transaction() as session:
            uid = create(session).uid
            session.objects.set_applied(uid, "b", {"labels": {"x": "1"}})
            session.objects.set_applied(uid, "a", {"spec": {"image": "y"}})
            session.objects.set_applied(uid, "b", {"labels": {"x": "2"}})
            assert session.objects.applied(uid) == {"a": {"spec": {"image": "y"}}, "b": {"labels": {"x": "2"}}}
            session.objects.set_applied(uid, "b", None)
            assert list(session.objects.applied(uid)) == ["a"]
            assert session.changes.latest() == 1

    def test_observed_state_comes_back_as_it_was(self, store: Store) -> None:
        with store.transaction() as session:
            uid = create(session).uid
            assert session.observed.get(uid) is None
            assert session.entries()[0].observed is None
            session.observed.put(uid, running(uid))
        with store.snapshot() as session:
            assert session.observed.get(uid) == running(uid)
            assert session.entries()[0].observed == running(uid)
            assert session.entries([key()])[0].observed == running(uid)

    def test_only_a_shown_difference_takes_a_revision(self, store: Store) -> None:
        with store.transaction() as session:
            uid = create(session).uid
            session.observed.put(uid, running(uid))
            session.observed.put(uid, running(uid))
            assert session.changes.latest() == 2
            quiet = msgspec.structs.replace(running(uid), failures=3, next_start_mono=77.5, boot_id="boot")
            session.observed.put(uid, quiet)
            assert session.changes.latest() == 2
            assert session.observed.get(uid) == quiet
            session.observed.put(uid, msgspec.structs.replace(quiet, restart_count=1))
            assert session.changes.latest() == 3
            found = session.objects.get(uid)
            assert found is not None
            assert (found.revision, found.generation) == (3, 1)

    def test_observed_state_of_another_kind_is_refused(self, store: Store) -> None:
        with store.transaction() as session:
            uid = create(session).uid
            with pytest.raises(TypeError, match="Container"):
                session.observed.put(uid, ImageObserved())

    def test_changes_tell_the_whole_story_in_order(self, store: Store) -> None:
        with store.transaction() as session:
            uid = create(session).uid
            session.observed.put(uid, running(uid))
            session.objects.replace(uid, {}, {}, {"image": "other"}, FILE)
            session.objects.mark_deleting(uid, 9.0)
            session.objects.purge(uid)
            changes = session.changes.since(0)
        assert [change.revision for change in changes] == [1, 2, 3, 4, 5]
        assert [change.type for change in changes] == ["ADDED", "MODIFIED", "MODIFIED", "MODIFIED", "DELETED"]
        assert [change.object["metadata"]["resourceVersion"] for change in changes] == ["1", "2", "3", "4", "5"]
        assert {change.key for change in changes} == {"container/default/web"}
        assert changes[1].object["status"]["phase"] == changes[4].object["status"]["phase"] == "Running"
        assert "deletionTimestamp" in changes[3].object["metadata"]

    def test_changes_come_in_portions(self, store: Store) -> None:
        with store.transaction() as session:
            for number in range(5):
                create(session, f"c{number}")
            assert [change.revision for change in session.changes.since(1, 2)] == [2, 3]
            assert [change.revision for change in session.changes.since(3, 2)] == [4, 5]
            assert session.changes.since(5) == []

    def test_compacted_changes_are_expired(self, store: Store) -> None:
        with store.transaction() as session:
            for number in range(5):
                create(session, f"c{number}")
            assert session.changes.compact(2) == 3
            assert (session.changes.oldest(), session.changes.latest()) == (3, 5)
            assert [change.revision for change in session.changes.since(3)] == [4, 5]
            with pytest.raises(errors.Expired, match=r"2.*3"):
                session.changes.since(2)
            assert session.changes.compact(2) == 0

    def test_revisions_go_on_when_all_changes_were_compacted(self, store: Store) -> None:
        with store.transaction() as session:
            create(session, "a")
            create(session, "b")
        with store.transaction() as session:
            assert session.changes.compact(0) == 2
            assert (session.changes.oldest(), session.changes.latest()) == (2, 2)
        with store.transaction() as session:
            assert create(session, "c").revision == 3
            assert [change.revision for change in session.changes.since(2)] == [3]

    def test_a_revision_of_another_state_is_expired(self, store: Store) -> None:
        with store.snapshot() as session:
            with pytest.raises(errors.Expired, match="list again"):
                session.changes.since(1)


class RecordsSuite:
    """Journal, events, sources, facts."""

    def test_a_job_is_recorded_from_begin_to_end(self, store: Store) -> None:
        with store.transaction() as session:
            first = session.journal.begin("pull", "", "", "asked for", 1, 10.25)
            second = session.journal.begin("start", "container/default/web", "u", "it is not running", 2, 11.5)
            session.journal.end(second, "failed", 12.75, error="no image", output="two\nlines")
        with store.snapshot() as session:
            running_, failed = session.journal.find()[::-1]
            assert (running_.id, running_.name, running_.status, running_.ended_at) == (first, "pull", "running", 0.0)
            assert (failed.id, failed.status, failed.attempt) == (second, "failed", 2)
            assert (failed.started_at, failed.ended_at) == (11.5, 12.75)
            assert (failed.error, failed.output, failed.cause) == ("no image", "two\nlines", "it is not running")
            assert session.journal.find("container/default/web") == [failed]
            assert session.journal.find(limit=1) == [failed]
            assert session.changes.latest() == 0

    def test_what_ran_at_the_end_is_interrupted(self, store: Store) -> None:
        with store.transaction() as session:
            done = session.journal.begin("start", "k", "u", "c", 1, 1.0)
            session.journal.end(done, "done", 2.0)
            left = [session.journal.begin("stop", "k", "u", "c", 1, 3.0) for _ in range(2)]
            interrupted = session.journal.interrupt_running(4.0)
            assert [(job.id, job.status, job.ended_at) for job in interrupted] == [
                (id, "interrupted", 4.0) for id in left
            ]
            assert session.journal.interrupt_running(5.0) == []
            assert [job.status for job in session.journal.find()] == ["interrupted", "interrupted", "done"]

    def test_trimming_the_journal_keeps_the_newest_and_what_runs(self, store: Store) -> None:
        with store.transaction() as session:
            left = session.journal.begin("start", "k", "u", "c", 1, 1.0)
            ids = [session.journal.begin("stop", "k", "u", "c", 1, 2.0) for _ in range(5)]
            for id in ids:
                session.journal.end(id, "done", 3.0)
            assert session.journal.trim(2) == 3
            assert [job.id for job in session.journal.find()] == [*ids[:-3:-1], left]
            session.journal.end(ids[0], "done", 9.0)

    def test_repeated_events_are_counted_for_an_hour(self, store: Store) -> None:
        with store.transaction() as session:
            for now in (100.0, 3000.5, 6000.5):
                session.events.record("k", "u", "Warning", "BackOff", "exit 1", now)
            session.events.record("k", "u", "Warning", "BackOff", "exit 2", 6001.0)
            session.events.record("k", "v", "Warning", "BackOff", "exit 1", 6002.0)
            session.events.record("k", "u", "Warning", "BackOff", "exit 1", 9700.5)
            found = session.events.find()
        assert [(event.count, event.first_at, event.last_at) for event in found] == [
            (3, 100.0, 6000.5),
            (1, 6001.0, 6001.0),
            (1, 6002.0, 6002.0),
            (1, 9700.5, 9700.5),
        ]

    def test_events_are_found_by_key_newest_last(self, store: Store) -> None:
        with store.transaction() as session:
            for number in range(6):
                session.events.record(f"k{number % 2}", "u", "Normal", "Started", f"message {number}", float(number))
            session.events.record("k0", "u", "Normal", "Started", "message 0", 99.0)
            assert [event.message[-1] for event in session.events.find("k0")] == ["2", "4", "0"]
            assert [event.message[-1] for event in session.events.find("k0", limit=2)] == ["4", "0"]
            assert session.events.trim(2) == 4
            assert [event.message[-1] for event in session.events.find()] == ["5", "0"]

    def test_sources_remember_their_files(self, store: Store) -> None:
        with store.transaction() as session:
            session.sources.put_file("dir:/a", "web.yaml", "sha256:1", ("web.yaml:3:1: spec.image: missing", "second"))
            session.sources.put_file("dir:/a", "db.yaml", "sha256:2", ())
            session.sources.put_file("dir:/a", "db.yaml", "sha256:3", ())
            session.sources.put_file("dir:/b", "db.yaml", "sha256:4", ())
        with store.transaction() as session:
            problems = ("web.yaml:3:1: spec.image: missing", "second")
            assert session.sources.files("dir:/a") == {"db.yaml": ("sha256:3", ()), "web.yaml": ("sha256:1", problems)}
            session.sources.remove_file("dir:/a", "web.yaml")
            session.sources.remove_file("dir:/a", "web.yaml")
            assert list(session.sources.files("dir:/a")) == ["db.yaml"]

    def test_sources_and_the_instance_remember_what_they_like(self, store: Store) -> None:
        with store.transaction() as session:
            assert session.sources.memory("dir:/a") == {}
            assert session.facts.get("boot") is None
            session.sources.remember("dir:/a", {"held": ["x"], "since": 1.5})
            session.sources.remember("dir:/a", {"held": [], "since": 2.5})
            session.facts.put("boot", ["id", 1, None])
            session.facts.put("boot", "other")
        with store.snapshot() as session:
            assert session.sources.memory("dir:/a") == {"held": [], "since": 2.5}
            assert session.facts.get("boot") == "other"


class GraphSuite:
    """Leases and images."""

    def test_an_address_stays_with_its_owner(self, store: Store) -> None:
        with store.transaction() as session:
            assert _lease(session, "a") == "10.1.0.2"
            assert _lease(session, "b") == "10.1.0.3"
            assert _lease(session, "a") == "10.1.0.2"
            assert session.leases.address("other", "a", "10.2.0.0/24", "10.2.0.1") == "10.2.0.2"
            assert session.leases.addresses("a") == {"net": "10.1.0.2", "other": "10.2.0.2"}
            assert session.leases.all() == [
                ("net", "a", "10.1.0.2"),
                ("net", "b", "10.1.0.3"),
                ("other", "a", "10.2.0.2"),
            ]

    def test_the_longest_unused_address_is_taken(self, store: Store) -> None:
        small = "10.1.0.0/29"
        with store.transaction() as session:
            assert [_lease(session, owner, small) for owner in "abc"] == ["10.1.0.2", "10.1.0.3", "10.1.0.4"]
            session.leases.release("b")
        with store.transaction() as session:
            session.leases.release("a")
            assert [_lease(session, owner, small) for owner in "de"] == ["10.1.0.5", "10.1.0.6"]
            assert [_lease(session, owner, small) for owner in "fg"] == ["10.1.0.3", "10.1.0.2"]

    def test_a_full_subnet_says_so_and_has_room_again_after_a_release(self, store: Store) -> None:
        with store.transaction() as session:
            assert _lease(session, "a", "10.1.0.0/30") == "10.1.0.2"
            with pytest.raises(errors.Temporary, match=r"no address is free in 10\.1\.0\.0/30"):
                _lease(session, "b", "10.1.0.0/30")
            session.leases.release("a", "net")
            assert _lease(session, "b", "10.1.0.0/30") == "10.1.0.2"

    def test_the_gateway_is_never_leased_wherever_it_is(self, store: Store) -> None:
        with store.transaction() as session:
            taken = [session.leases.address("net", owner, "10.1.0.0/29", "10.1.0.3") for owner in "abcde"]
            assert taken == ["10.1.0.1", "10.1.0.2", "10.1.0.4", "10.1.0.5", "10.1.0.6"]
            session.leases.release("a")
            moved = session.leases.address("net", "b", "10.1.0.0/29", "10.1.0.2")
            assert moved == "10.1.0.3"
            assert session.leases.address("net", "x", "10.1.0.0/29", "10.1.0.2") == "10.1.0.1"
            with pytest.raises(errors.Temporary):
                session.leases.address("net", "y", "10.1.0.0/29", "10.1.0.2")

    def test_a_lease_outside_a_changed_subnet_is_replaced(self, store: Store) -> None:
        with store.transaction() as session:
            _lease(session, "a")
            assert session.leases.address("net", "a", "10.9.0.0/24", "10.9.0.1") == "10.9.0.2"
            assert session.leases.addresses("a") == {"net": "10.9.0.2"}

    def test_subnets_are_taken_and_given_back_with_the_network(self, store: Store) -> None:
        with store.transaction() as session:
            assert session.leases.subnet("net") is None
            session.leases.take_subnet("net", "10.1.0.0/24")
            session.leases.take_subnet("net", "10.1.0.0/24")
            with pytest.raises(errors.Conflict, match=r"10\.1\.0\.128/25 overlaps 10\.1\.0\.0/24"):
                session.leases.take_subnet("other", "10.1.0.128/25")
            session.leases.take_subnet("other", "10.1.1.0/24")
            assert session.leases.subnets() == {"net": "10.1.0.0/24", "other": "10.1.1.0/24"}
            _lease(session, "a")
            session.leases.release("net")
            assert session.leases.subnets() == {"other": "10.1.1.0/24"}
            assert session.leases.all() == []

    def test_an_image_is_found_by_reference_and_by_id(self, store: Store) -> None:
        facts, blobs, chain = image("docker.io/library/nginx:1", 1)
        with store.transaction() as session:
            session.images.put(facts, blobs, chain)
            session.images.put(facts, blobs, chain)
        with store.snapshot() as session:
            assert session.images.get(facts.reference) == facts
            assert session.images.by_id(facts.image_id) == facts
            assert session.images.all() == [facts]
            assert session.images.chain(facts.image_id) == tuple(chain)
            assert session.images.get("other") is None
            assert session.images.by_id("other") is None
            assert session.images.chain("other") == ()

    def test_removing_the_last_reference_frees_what_no_other_image_uses(self, store: Store) -> None:
        first, second = image("one", 1, layers=3), image("two", 2)
        with store.transaction() as session:
            assert session.images.needed() == (frozenset(), frozenset())
            session.images.put(*first)
            session.images.put(*second)
            assert session.images.needed() == (frozenset((*first[1], *second[1])), frozenset((*first[2], *second[2])))
            assert session.images.remove("nothing") == ([], [])
            blobs, chain = session.images.remove("one")
            assert session.images.needed() == (frozenset(second[1]), frozenset(second[2]))
            assert sorted(blobs) == sorted(set(first[1]) - set(second[1]))
            assert chain == ["sha256:1-2", "sha256:1-1"]
            assert session.images.get("one") is None
            blobs, chain = session.images.remove("two")
            assert sorted(blobs) == sorted(second[1])
            assert chain == ["sha256:2-1", "sha256:base"]
            assert session.images.all() == []

    def test_an_image_with_two_references_stays_until_both_are_gone(self, store: Store) -> None:
        facts, blobs, chain = image("one", 1)
        with store.transaction() as session:
            session.images.put(facts, blobs, chain)
            session.images.put(msgspec.structs.replace(facts, reference="two"), blobs, chain)
            assert session.images.remove("one") == ([], [])
            assert session.images.remove("two") == (sorted(blobs), chain[::-1])

    def test_a_moved_reference_leaves_the_old_image_until_it_is_removed_by_its_digest(self, store: Store) -> None:
        old, new = image("tag", 1), image("tag", 2)
        with store.transaction() as session:
            session.images.put(*old)
            session.images.put(*new)
            assert session.images.get("tag") == new[0]
            digest = old[0].digest
            assert [facts.reference for facts in session.images.all()] == [digest, "tag"]
            assert session.images.by_id(old[0].image_id) == msgspec.structs.replace(old[0], reference=digest)
            assert session.images.chain(old[0].image_id) == tuple(old[2])
            blobs, chain = session.images.remove(digest)
            assert sorted(blobs) == sorted(set(old[1]) - set(new[1]))
            assert chain == ["sha256:1-1"]
            assert session.images.all() == [new[0]]

    def test_a_tag_moves_a_reference_as_a_pull_does(self, store: Store) -> None:
        old, new = image("tag", 1), image("other", 2)
        with store.transaction() as session:
            session.images.put(*old)
            session.images.put(*new)
            session.images.tag("third", old[0].digest)
            assert session.images.get("third") == msgspec.structs.replace(old[0], reference="third")
            assert session.images.remove("third") == ([], [])
            session.images.tag("tag", new[0].digest)
            assert session.images.get("tag") == msgspec.structs.replace(new[0], reference="tag")
            assert [facts.reference for facts in session.images.all()] == sorted([old[0].digest, "other", "tag"])

    def test_who_uses_an_image(self, store: Store) -> None:
        made_of = running("").incarnation
        assert made_of is not None
        with store.transaction() as session:
            web = create(session, "web")
            plain = create(session, "plain")
            session.observed.put(web.uid, running(web.uid))
            kept = session.objects.create(Key("Image", "", "kept"), {}, {}, {"reference": "nginx:1"}, API, 1.0)
            session.objects.create(Key("Network", "default", "lan"), {}, {}, {}, API, 1.0)
        with store.snapshot() as session:
            assert session.relations.named() == {SPEC["image"]: [plain.key, web.key], "nginx:1": [kept.key]}
            assert session.relations.made() == {made_of.image_id: [web.key]}
        with store.transaction() as session:
            for gone in (web, kept):
                session.objects.mark_deleting(gone.uid, 2.0)
        with store.snapshot() as session:
            assert session.relations.named() == {SPEC["image"]: [plain.key]}
            assert session.relations.made() == {made_of.image_id: [web.key]}
        with store.transaction() as session:
            session.objects.replace(plain.uid, {}, {}, {"image": "other"}, API)
            session.observed.put(web.uid, msgspec.structs.replace(running(web.uid), incarnation=None))
        with store.snapshot() as session:
            assert session.relations.named() == {"other": [plain.key]}
            assert session.relations.made() == {}

    def test_parts_of_images_and_their_sizes(self, store: Store) -> None:
        first, second = image("one", 1, layers=3), image("two", 2)
        with store.transaction() as session:
            session.images.put(*first)
            session.images.put(*second)
            session.relations.measured("layer", dict.fromkeys((*first[2], *second[2]), 10))
            session.relations.measured("blob", {second[1][0]: 7})
            assert session.relations.chains() == {first[0].digest: first[2], second[0].digest: second[2]}
            found = session.relations.blobs()
            assert {digest: sorted(names) for digest, names in found.items()} == {
                first[0].digest: sorted(first[1]),
                second[0].digest: sorted(second[1]),
            }
            session.images.remove("one")
            session.relations.measured("layer", {second[2][0]: 11})
            assert session.relations.sizes("layer") == {second[2][0]: 11, second[2][1]: 10}
            assert session.relations.sizes("blob") == {second[1][0]: 7}

    def test_the_last_use_of_an_image(self, store: Store) -> None:
        first, second = image("one", 1), image("two", 2)
        with store.transaction() as session:
            session.images.put(*first)
            session.images.put(*second)
            assert session.relations.used_at() == {first[0].digest: 0.0, second[0].digest: 0.0}
            session.relations.note_use([first[0].digest, "unknown"], 17.5)
            session.images.put(*first)
            session.images.put(msgspec.structs.replace(first[0], reference="again"), *first[1:])
            assert session.relations.used_at() == {first[0].digest: 17.5, second[0].digest: 0.0}


def _lease(session: Session, owner: str, subnet: str = "10.1.0.0/24") -> str:
    return session.leases.address("net", owner, subnet, "10.1.0.1")
