"""What no image needs goes, but never from under a pull that counts on it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.model.keys import Key
from reconciler.testing import images, wait
from reconciler.testing.loop import Loop

OLD, NEW = "registry.example/old:1", "registry.example/new:1"
IMAGE = Key("Image", "", "old")


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    made = Loop(tmp_path)
    # two images that share their lower layer
    made.registry.add(OLD, images.build([b"shared", b"old"], {"Cmd": ["old"]}))
    made.registry.add(NEW, images.build([b"shared", b"new"], {"Cmd": ["new"]}))
    try:
        yield made
    finally:
        made.close()


def image(reference: str) -> dict[str, object]:
    return {
        "apiVersion": "pydock.dev/v1", "kind": "Image", "metadata": {"name": "old"}, "spec": {"reference": reference}
    }  # fmt: skip


def test_a_forgotten_image_leaves_nothing(loop: Loop) -> None:
    loop.apply(image(OLD))
    assert len(loop.graph.unpacked) == 2
    loop.delete(IMAGE)
    assert (loop.graph.unpacked, loop.graph.contents) == ({}, {})


def test_what_a_pull_under_way_counts_on_stays(loop: Loop) -> None:
    loop.apply(image(OLD))
    shared = loop.registry.images[OLD].diff_ids[0]
    loop.registry.gate = threading.Event()
    pull = threading.Thread(target=lambda: loop.ask("pull_image", reference=NEW))
    pull.start()
    wait.until(lambda: NEW in loop.registry.resolved and loop.registry.fetched, 5.0, "the pull to fetch")
    loop.delete(IMAGE)
    loop.registry.gate.set()
    pull.join(10)
    with loop.store.snapshot() as session:
        facts = session.images.get(NEW)
        assert facts is not None
        chain = session.images.chain(facts.image_id)
    assert shared == chain[0]
    assert set(chain) == set(loop.graph.unpacked), "the old image's own layer went after the pull, the shared one not"
    assert set(loop.registry.images[NEW].blobs) <= set(loop.graph.contents)
