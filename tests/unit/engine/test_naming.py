"""An image gets other names; what had a name before loses it, and stays while somebody needs it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler import errors
from reconciler.testing import images, wait
from reconciler.testing.loop import IMAGE, Loop, container

ONE, TWO, NEW = "registry.example/one:1", "registry.example/two:1", "registry.example/new:1"


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    made = Loop(tmp_path)
    made.registry.add(ONE, images.build([b"shared", b"one"], {"Cmd": ["one"]}))
    made.registry.add(TWO, images.build([b"shared", b"two"], {"Cmd": ["two"]}))
    for reference in (ONE, TWO):
        made.ask("pull_image", reference=reference)
    try:
        yield made
    finally:
        made.close()


def names(loop: Loop) -> dict[str, str]:
    return {each["reference"] or each["digest"]: each["digest"] for each in loop.ask("images")["items"]}


def test_a_reference_digest_or_id_is_given_one_more_name(loop: Loop) -> None:
    image = loop.registry.images[ONE]
    for number, source in enumerate((ONE, image.digest, image.image_id, image.image_id[7:19])):
        target = f"registry.example/new:{number}"
        told = loop.ask("image_tag", source=source, target=target)
        assert (told["reference"], told["digest"]) == (target, image.digest)
        assert names(loop)[target] == image.digest
    loop.ask("image_remove", references=[ONE])
    assert set(image.blobs) <= set(loop.graph.contents)


def test_a_name_without_a_registry_is_dockers(loop: Loop) -> None:
    assert loop.ask("image_tag", source=ONE, target="new")["reference"] == "docker.io/library/new:latest"


def test_a_name_that_another_image_had_is_taken_from_it(loop: Loop) -> None:
    one, two = loop.registry.images[ONE], loop.registry.images[TWO]
    loop.ask("image_tag", source=ONE, target=TWO)
    assert names(loop) == {ONE: one.digest, TWO: one.digest, two.digest: two.digest}
    loop.ask("image_remove", references=[two.digest], exact=True)
    assert set(loop.graph.contents) == {one.digest, *one.blobs}


def test_a_container_keeps_what_it_was_made_from(loop: Loop) -> None:
    loop.apply(container("web"))
    before = names(loop)[IMAGE]
    loop.ask("image_tag", source=ONE, target=IMAGE)
    with pytest.raises(errors.Conflict, match="is used by container/default/web"):
        loop.ask("image_remove", references=[before], exact=True)


def test_an_image_without_a_name_gets_one_again(loop: Loop) -> None:
    two = loop.registry.images[TWO]
    loop.ask("image_tag", source=ONE, target=TWO)
    loop.ask("image_tag", source=two.digest, target=NEW)
    assert names(loop)[NEW] == two.digest
    assert two.digest not in names(loop)


@pytest.mark.parametrize("target", ["Upper", "a@sha256:" + "0" * 64, "a:1@sha256:" + "0" * 64])
def test_names_that_cannot_be_given(loop: Loop, target: str) -> None:
    with pytest.raises(errors.Invalid, match="image reference"):
        loop.ask("image_tag", source=ONE, target=target)


def test_what_is_not_here_gets_no_name(loop: Loop) -> None:
    with pytest.raises(errors.NotFound, match="absent:1 is not here"):
        loop.ask("image_tag", source="absent:1", target=NEW)
    assert NEW not in names(loop)


def test_a_name_that_is_being_pulled_is_not_given(loop: Loop) -> None:
    loop.registry.add(NEW, images.build([b"newer"], {"Cmd": ["new"]}))
    loop.registry.gate = threading.Event()
    asked = len(loop.registry.fetched)
    pull = threading.Thread(target=lambda: loop.ask("pull_image", reference=NEW))
    pull.start()
    try:
        wait.until(lambda: len(loop.registry.fetched) > asked, 5.0, "the pull to fetch")
        with pytest.raises(errors.Conflict, match="is being pulled or removed: try again"):
            loop.ask("image_tag", source=ONE, target=NEW)
    finally:
        loop.registry.gate.set()
        pull.join(10)
    assert names(loop)[NEW] == loop.registry.images[NEW].digest
