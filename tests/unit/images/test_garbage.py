"""Images go by themselves when the disk fills up or they grow old: never one that somebody uses, wants or pulls."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler import errors, settings
from reconciler.control.housekeeping import Housekeeping
from reconciler.engine.job import Job
from reconciler.images import garbage
from reconciler.model.collection import Policy
from reconciler.testing import images, wait
from reconciler.testing.loop import Loop, container, container_key

NAMES = tuple(f"registry.example/{name}:1" for name in ("a", "b", "c", "d"))
A, B, C, D = NAMES
HOUR = 3600.0


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    """Four images of about 10 kB, pulled an hour apart, a first; all share a layer."""
    made = Loop(tmp_path)
    for name in NAMES:
        made.registry.add(
            name, images.build([b"shared", bytes(name, "ascii") * 500], {"Cmd": ["serve"]}, packing="plain")
        )
        made.ask("pull_image", reference=name)
        made.clock.ahead += HOUR
    # the database is no longer new
    made.apply(container("other"))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def keeper(loop: Loop) -> Housekeeping:
    return Housekeeping(settings.make({}), loop.parts, loop.engine, loop.reconciler)


def names(loop: Loop) -> set[str]:
    return {each["reference"] or each["digest"] for each in loop.ask("images")["items"]} & set(NAMES)


def used(loop: Loop) -> int:
    space = loop.graph.space()
    return space.size - space.free


def fill(loop: Loop, percent: float) -> None:
    """The disk is used so far."""
    loop.graph.disk = int(used(loop) * 100 / percent)


def events(loop: Loop) -> list[tuple[str, str]]:
    with loop.store.snapshot() as session:
        return [(each.type, each.reason) for each in session.events.find(garbage.SUBJECT)]


def collected(loop: Loop) -> list[str]:
    with loop.store.snapshot() as session:
        return [each.status for each in session.journal.find() if each.name == "collect"]


def due(loop: Loop) -> list[str]:
    return [each["reference"] for each in loop.ask("collectible")["items"]]


def test_below_the_high_mark_nothing_goes(loop: Loop, keeper: Housekeeping) -> None:
    fill(loop, 84)
    keeper.collect()
    assert names(loop) == set(NAMES)
    assert (events(loop), collected(loop)) == ([], [])


def test_over_it_the_least_recently_used_go_until_the_low_mark(loop: Loop, keeper: Housekeeping) -> None:
    fill(loop, 86)
    assert due(loop) == [A]
    before, told = used(loop), loop.ask("collectible")["freed"]
    keeper.collect()
    assert names(loop) == {B, C, D}
    assert before - used(loop) == told
    assert loop.graph.space().used_percent <= 80
    assert (events(loop), collected(loop)) == ([("Normal", "ImagesCollected")], ["done"])
    keeper.collect()
    assert names(loop) == {B, C, D}


def test_what_is_used_counts_from_its_last_use(loop: Loop, keeper: Housekeeping) -> None:
    loop.apply(container("web", image=A))
    loop.clock.ahead += HOUR
    keeper.collect()
    loop.delete(container_key("web"))
    loop.clock.ahead += HOUR
    fill(loop, 86)
    assert due(loop) == [B]


def test_what_was_never_noted_counts_from_the_first_look(loop: Loop, keeper: Housekeeping) -> None:
    with loop.store.transaction() as session:
        session.relations.note_use(list(session.relations.used_at()), 0.0)
    fill(loop, 86)
    assert due(loop) == []
    keeper.collect()
    assert names(loop) == set(NAMES)
    loop.clock.ahead += HOUR
    assert len(due(loop)) == 1


def test_a_clock_set_back_makes_nothing_stay_for_ever(loop: Loop, keeper: Housekeeping) -> None:
    loop.clock.ahead -= 10 * 365 * 24 * HOUR
    fill(loop, 86)
    keeper.collect()
    assert names(loop) == set(NAMES)
    loop.clock.ahead += HOUR
    assert len(due(loop)) == 1


def test_what_a_container_was_made_from_stays_stopped_too(loop: Loop, keeper: Housekeeping) -> None:
    loop.apply(container("web", image=A))
    loop.ask("override", namespace="default", name="web", action="stop")
    loop.settle()
    # the tag goes to another image: the former one has no name, and no object names it
    loop.registry.add(A, images.build([b"newer"], {"Cmd": ["serve"]}))
    loop.ask("pull_image", reference=A)
    loop.clock.ahead += HOUR
    loop.set_images(policy=Policy(high=1, low=1))
    fill(loop, 90)
    incarnation = loop.observed("web").incarnation
    assert incarnation is not None
    keeper.collect()
    assert not names(loop) & {B, C, D}
    chain = loop.snapshots.bases[incarnation.id]
    assert set(chain) <= set(loop.graph.layers())


@pytest.mark.parametrize("by", ["tag", "digest", "image", "being deleted"])
def test_what_is_wanted_stays(loop: Loop, keeper: Housekeeping, by: str) -> None:
    name = f"registry.example/a@{loop.registry.images[A].digest}" if by == "digest" else A
    document = container("web", image=name)
    if by == "image":
        document = {"apiVersion": "pydock.dev/v1", "kind": "Image", "metadata": {"name": "web"},
                    "spec": {"reference": name}}  # fmt: skip
    # desired, and nothing of it is made
    loop.ask("apply", document=document, manager="test")
    if by == "being deleted":
        loop.settle()
        loop.ask("delete", kind="Container", namespace="default", name="web")
    loop.set_images(policy=Policy(high=1, low=1))
    fill(loop, 90)
    keeper.collect()
    assert names(loop) == {A}


def test_what_was_just_pulled_stays_for_a_container_to_come(loop: Loop, keeper: Housekeeping) -> None:
    loop.set_images(policy=Policy(high=1, low=1))
    fill(loop, 90)
    loop.ask("pull_image", reference=A)  # it was here: that counts too
    keeper.collect()
    assert names(loop) == {A}
    loop.clock.ahead += 121
    keeper.collect()
    assert names(loop) == set()


def test_what_is_being_pulled_stays(loop: Loop, keeper: Housekeeping) -> None:
    loop.registry.add(A, images.build([b"shared", b"newer"], {"Cmd": ["serve"]}, packing="plain"))
    loop.registry.gate = threading.Event()
    asked = len(loop.registry.fetched)
    pull = threading.Thread(target=lambda: loop.ask("pull_image", reference=A))
    pull.start()
    try:
        wait.until(lambda: len(loop.registry.fetched) > asked, 5.0, "the pull to fetch")
        loop.set_images(policy=Policy(high=1, low=1))
        fill(loop, 90)
        keeper.collect()
        assert names(loop) == {A}
        assert len(loop.graph.layers()) == 1 + 1 + 4, "what goes is not removed while a pull may count on it"
        keeper.collect()
        assert collected(loop) == ["done"], "what waits for the pull's end is not asked for twice"
    finally:
        loop.registry.gate.set()
        pull.join(10)
    assert names(loop) == {A}
    assert set(loop.registry.images[A].blobs) <= set(loop.graph.contents)


def test_what_comes_into_use_after_the_plan_stays(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    loop.set_images(policy=Policy(high=1, low=1))
    fill(loop, 90)
    made = garbage.plan(loop.parts.images)
    assert {facts.reference for facts in made.images} == set(NAMES)
    loop.ask("apply", document=container("web", image=B), manager="test")
    loop.ask("pull_image", reference=C)
    loop.ask("image_tag", source=D, target="registry.example/other:1")
    loop.ask("apply", document=container("too", image="registry.example/other:1"), manager="test")
    monkeypatch.setattr(garbage, "plan", lambda parts: made)
    assert loop.ask("collect")["removed"] == [A]
    assert names(loop) == {B, C, D}


def test_when_the_low_mark_is_reached_otherwise_no_more_goes(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(loop, 86)
    made = garbage.plan(loop.parts.images)
    assert made.images
    monkeypatch.setattr(garbage, "plan", lambda parts: made)
    loop.graph.disk *= 2
    assert loop.ask("collect")["removed"] == []
    assert names(loop) == set(NAMES)


def test_what_cannot_be_removed_stops_nothing_and_is_tried_again(
    loop: Loop, keeper: Housekeeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    with loop.store.snapshot() as session:
        facts = session.images.get(A)
    assert facts is not None
    stuck, plain = facts.chain_id, loop.graph.remove_layer

    def remove(name: str) -> None:
        if name == stuck:
            raise OSError(errno.EIO, "a bad block")
        plain(name)

    monkeypatch.setattr(loop.graph, "remove_layer", remove)
    loop.set_images(policy=Policy(high=50, low=45))
    fill(loop, 95)
    keeper.collect()
    gone = set(NAMES) - names(loop)
    assert {A, B} <= gone
    assert len(loop.graph.layers()) == 1 + 1 + (4 - len(gone)) + 1
    monkeypatch.setattr(loop.graph, "remove_layer", plain)
    loop.ask("collect")
    assert stuck not in loop.graph.layers()


def test_by_age_whatever_the_disk(loop: Loop, keeper: Housekeeping) -> None:
    loop.set_images(policy=Policy(max_age=3 * HOUR))
    assert due(loop) == [A, B]
    keeper.collect()
    assert names(loop) == {C, D}
    assert events(loop) == [("Normal", "ImagesCollected")]


def test_every_name_of_an_image_goes(loop: Loop, keeper: Housekeeping) -> None:
    loop.ask("image_tag", source=A, target="registry.example/again:1")
    fill(loop, 86)
    keeper.collect()
    left = {each["reference"] for each in loop.ask("images")["items"]}
    assert not left & {A, "registry.example/again:1"}


def test_over_the_mark_with_nothing_to_remove_is_told_once(loop: Loop, keeper: Housekeeping) -> None:
    for number, name in enumerate(NAMES):
        loop.apply(container(f"c{number}", image=name))
    fill(loop, 95)
    for _ in range(3):
        keeper.collect()
    assert names(loop) == set(NAMES)
    with loop.store.snapshot() as session:
        (event,) = session.events.find(garbage.SUBJECT)
    assert (event.type, event.reason, event.count) == ("Warning", "DiskPressure", 3)
    assert "over its high mark of 85%" in event.message
    assert loop.ask("system_df")["warning"] == event.message
    assert collected(loop) == []


def test_switched_off_nothing_goes(loop: Loop, keeper: Housekeeping) -> None:
    loop.set_images(policy=Policy(high=100))
    loop.graph.disk = used(loop)
    keeper.collect()
    assert names(loop) == set(NAMES)
    assert events(loop) == []


def stray(loop: Loop) -> str:
    data = b"stray" * 4000
    name = images.digest(data)
    writer = loop.graph.write_blob(name, -1)
    writer.write(data)
    writer.commit()
    return name


def test_leftovers_go_before_any_image(loop: Loop, keeper: Housekeeping) -> None:
    name = stray(loop)
    fill(loop, 86)
    keeper.collect()
    assert not loop.graph.has_blob(name)
    assert names(loop) == set(NAMES)


def test_what_a_pull_that_failed_has_fetched_stays_for_its_next_try(loop: Loop, keeper: Housekeeping) -> None:
    name = stray(loop)
    loop.apply(container("web", image="registry.example/absent:1"))
    fill(loop, 86)
    keeper.collect()
    assert loop.graph.has_blob(name)


def test_leftovers_are_removed_when_asked_for(loop: Loop) -> None:
    name = stray(loop)
    loop.snapshots.prepare("nobodys", ())
    told = loop.ask("leftovers_remove", dry_run=True)
    assert {each["what"] for each in told["items"]} == {"blob", "snapshot"}
    assert loop.graph.has_blob(name)
    with loop.parts.images.leftovers.kept(), pytest.raises(errors.Conflict, match="is being pulled"):
        loop.ask("leftovers_remove")
    assert loop.ask("leftovers_remove") == told
    assert not loop.graph.has_blob(name)
    assert "nobodys" not in loop.snapshots.snapshots()
    assert names(loop) == set(NAMES)


def test_in_a_new_database_nothing_is_a_leftover(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    try:
        name = stray(loop)
        assert loop.ask("leftovers_remove")["items"] == []
        assert loop.graph.has_blob(name)
    finally:
        loop.close()


def test_a_collection_ends_with_the_daemon(loop: Loop) -> None:
    loop.set_images(policy=Policy(high=1, low=1))
    fill(loop, 90)
    job = Job("collect")
    job.stopping.set()
    assert garbage.run(loop.parts.images, job.stopping).images == ()
    assert names(loop) == set(NAMES)
