"""Images are forgotten only when nobody uses them, and never while they are pulled."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler import errors
from reconciler.locks import KeyedLocks
from reconciler.testing import images, store_samples, wait
from reconciler.testing.loop import IMAGE, Loop, container, container_key

ONE, TWO, COPY = "registry.example/one:1", "registry.example/two:1", "registry.example/copy:1"


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    made = Loop(tmp_path)
    made.registry.add(ONE, images.build([b"shared", b"one"], {"Cmd": ["one"]}))
    made.registry.add(TWO, images.build([b"shared", b"two"], {"Cmd": ["two"]}))
    made.registry.add(COPY, made.registry.images[ONE])
    try:
        yield made
    finally:
        made.close()


def names(loop: Loop) -> list[str]:
    return [each["reference"] or each["digest"] for each in loop.ask("images")["items"]]


def test_what_other_images_need_stays(loop: Loop) -> None:
    for reference in (ONE, TWO):
        loop.ask("pull_image", reference=reference)
    loop.ask("image_remove", references=[ONE])
    assert names(loop) == [TWO]
    assert set(loop.registry.images[TWO].blobs) <= set(loop.graph.contents)
    assert len(loop.graph.unpacked) == 2
    loop.ask("image_remove", references=[TWO])
    assert (loop.graph.contents, loop.graph.unpacked) == ({}, {})


def test_an_image_is_removed_under_all_its_names_or_none(loop: Loop) -> None:
    for reference in (ONE, COPY):
        loop.ask("pull_image", reference=reference)
    loop.apply(container("web", image=COPY))
    with pytest.raises(errors.Conflict, match=r"one:1 is used|copy:1 is used by container/default/web"):
        loop.ask("image_remove", references=[ONE, COPY], exact=True)
    assert names(loop) == [COPY, ONE]
    assert loop.ask("images_unused", all=True)["items"] == []
    digest = loop.registry.images[ONE].digest
    with pytest.raises(errors.Conflict, match=rf"several references: .*{COPY}, {ONE}"):
        loop.ask("image_remove", references=[digest])
    # the other name is what the container's image is known by
    loop.ask("image_remove", references=[ONE])
    assert names(loop) == [COPY]


def test_what_a_container_was_made_from_stays_whatever_it_names_now(loop: Loop) -> None:
    loop.apply(container("web"))
    loop.registry.add(IMAGE, images.build([b"newer"], {"Cmd": ["serve"]}))
    loop.ask("pull_image", reference=IMAGE)
    (old,) = [name for name in names(loop) if name.startswith("sha256:")]
    with pytest.raises(errors.Conflict, match="is used by container/default/web"):
        loop.ask("image_remove", references=[old], exact=True)
    assert loop.ask("images_unused")["items"] == []
    loop.delete(container_key("web"))
    assert [each["digest"] for each in loop.ask("images_unused")["items"]] == [old]
    loop.ask("image_remove", references=[old], exact=True)
    assert names(loop) == [IMAGE]


def test_what_is_wanted_and_not_yet_made_counts_as_used(loop: Loop) -> None:
    loop.ask("pull_image", reference=ONE)
    loop.ask("apply", document=container("web", image=ONE), manager="test")
    with pytest.raises(errors.Conflict, match="is used by container/default/web"):
        loop.ask("image_remove", references=[ONE])


def test_what_is_being_pulled_is_not_removed(loop: Loop) -> None:
    loop.ask("pull_image", reference=ONE)
    loop.registry.add(ONE, images.build([b"shared", b"newer"], {"Cmd": ["one"]}))
    loop.registry.gate = threading.Event()
    asked = len(loop.registry.fetched)
    pull = threading.Thread(target=lambda: loop.ask("pull_image", reference=ONE))
    pull.start()
    try:
        wait.until(lambda: len(loop.registry.fetched) > asked, 5.0, "the pull to fetch")
        with pytest.raises(errors.Conflict, match="is being pulled: try again"):
            loop.ask("image_remove", references=[ONE])
    finally:
        loop.registry.gate.set()
        pull.join(10)
    assert ONE in names(loop)


def test_an_exact_name_is_no_id(loop: Loop) -> None:
    loop.ask("pull_image", reference=ONE)
    image = loop.registry.images[ONE]
    for word in (image.digest, image.image_id, image.image_id[7:19]):
        with pytest.raises(errors.NotFound, match="is not here any more"):
            loop.ask("image_remove", references=[word], exact=True)
        assert loop.ask("image_inspect", reference=word)["reference"] == ONE
    with pytest.raises(errors.NotFound, match="'pydock image ls'"):
        loop.ask("image_inspect", reference="absent")
    with pytest.raises(errors.Invalid, match="must be lower case"):
        loop.ask("image_inspect", reference="Absent")


def test_an_id_that_begins_two_is_refused(loop: Loop) -> None:
    with loop.store.transaction() as session:
        for number in (1, 2):
            session.images.put(*store_samples.image(f"registry.example/{number}:1", number))
    with pytest.raises(errors.Conflict, match=r"begins the ids of several images: .*give more digits"):
        loop.ask("image_inspect", reference="0000")


def test_a_missing_configuration_is_told(loop: Loop) -> None:
    loop.ask("pull_image", reference=ONE)
    loop.graph.remove_blob(loop.registry.images[ONE].image_id)
    with pytest.raises(errors.NotFound, match=r"one:1: its blob sha256:.* pull the image again"):
        loop.ask("image_history", reference=ONE)


def test_a_lock_that_somebody_holds_is_not_waited_for() -> None:
    locks = KeyedLocks()
    with locks.hold("a"), locks.try_hold("a") as again, locks.try_hold("b") as other:
        assert (again, other) == (False, True)
    with locks.try_hold("a") as free:
        assert free
        waiter = threading.Thread(target=lambda: _pass(locks))
        waiter.start()
        assert waiter.is_alive()
    waiter.join(5)
    assert not waiter.is_alive()
    with locks.try_hold("a") as free:
        assert free


def _pass(locks: KeyedLocks) -> None:
    with locks.hold("a"):
        pass


def test_what_is_being_deleted_no_longer_keeps_an_image_by_its_name(loop: Loop) -> None:
    loop.ask("pull_image", reference=ONE)
    loop.ask("apply", document=container("web", image=ONE), manager="test")
    assert loop.ask("images")["items"][0]["usedBy"] == ["container/default/web"]
    loop.ask("delete", kind="Container", namespace="default", name="web")
    # it has not been made from the image, and will not be any more: the loop has yet to take the object away
    assert loop.exists(container_key("web"))
    assert loop.ask("images")["items"][0]["usedBy"] == []
    loop.ask("image_remove", references=[ONE])
    assert names(loop) == []


def test_what_is_being_deleted_keeps_the_image_that_it_was_made_from(loop: Loop) -> None:
    loop.apply(container("web", image=ONE))
    loop.ask("delete", kind="Container", namespace="default", name="web")
    assert loop.ask("images")["items"][0]["usedBy"] == ["container/default/web"]
    with pytest.raises(errors.Conflict, match="is used by container/default/web"):
        loop.ask("image_remove", references=[ONE])
    loop.settle()
    loop.ask("image_remove", references=[ONE])


def test_the_configuration_is_read_once(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    loop.ask("pull_image", reference=ONE)
    read: list[str] = []
    plain = loop.graph.read_blob
    monkeypatch.setattr(loop.graph, "read_blob", lambda digest, limit: (read.append(digest), plain(digest, limit))[1])
    assert loop.ask("image_inspect", reference=ONE)["layers"]
    image = loop.registry.images[ONE]
    assert sorted(read) == sorted([image.digest, image.image_id])
