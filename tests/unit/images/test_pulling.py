"""The order of a pull, on fakes."""

from __future__ import annotations

import json
import pathlib
import threading

import pytest

from reconciler import errors
from reconciler.images import pulling as pulls
from reconciler.model import references
from reconciler.testing import graph_tars as tars
from reconciler.testing import images
from reconciler.testing.graph_fake import FakeGraph, FakeGraphDriver
from reconciler.testing.registry_fake import FakeRegistry
from reconciler.testing.wait import until

REFERENCE = references.parse("x")


def layered(count: int) -> images.Image:
    return images.build([tars.archive([tars.Member(b"f%d" % number, b"x" * 100_000)]) for number in range(count)])


def digests(image: images.Image) -> list[str]:
    return [layer["digest"] for layer in json.loads(image.manifest)["layers"]]


def registry(image: images.Image) -> FakeRegistry:
    found = FakeRegistry()
    found.add(str(REFERENCE), image)
    return found


def test_the_fakes_hold_an_image(tmp_path: pathlib.Path) -> None:
    image, graph = layered(3), FakeGraph()
    found = pulls.pull(REFERENCE, registry(image), graph)
    assert found.facts.layers == tuple(digests(image))
    assert set(found.blobs) == set(graph.blobs())
    driver = FakeGraphDriver(graph, tmp_path)
    assert pathlib.Path(driver.prepare("a", found.chain)).is_dir()
    assert driver.mounts() == {"a"}


def test_a_break_is_gone_on_from_and_progress_is_told() -> None:
    image = images.build([tars.archive([tars.Member(b"f", b"x" * 3_000_000)])], packing="plain")
    source, layer = registry(image), digests(image)[0]
    source.breaks[layer] = [65536, 131072, 131072, 200_000]
    told: list[tuple[str, str, int, int]] = []
    pulls.pull(REFERENCE, source, FakeGraph(), progress=lambda *words: told.append(words))
    assert [offset for digest, offset in source.fetched if digest == layer] == [0, 65536, 131072, 131072, 200_000]
    mine = [words for words in told if words[1] == layer]
    assert [words[0] for words in mine][:2] == ["waiting", "downloading"]
    assert [words[2] for words in mine] == sorted(words[2] for words in mine)
    assert told[-1][0] == "complete"


def test_a_peer_that_brings_nothing_is_given_up() -> None:
    image = layered(1)
    source, graph = registry(image), FakeGraph()
    source.breaks[digests(image)[0]] = [0] * 10
    with pytest.raises(errors.Temporary, match="connection broke"):
        pulls.pull(REFERENCE, source, graph)
    assert source.fetched.count((digests(image)[0], 0)) == 4
    assert graph.layers() == ()


def test_no_more_than_so_many_at_once() -> None:
    image = layered(6)
    source = registry(image)
    source.gate = threading.Event()
    graph = FakeGraph()
    graph.contents[image.image_id] = image.blobs[image.image_id]
    thread = threading.Thread(target=pulls.pull, args=(REFERENCE, source, graph), kwargs={"parallel": 2})
    thread.start()
    until(lambda: len(source.fetched) == 2, what="two fetches")
    source.gate.set()
    thread.join(10)
    assert len(source.fetched) == 6
    assert len(graph.layers()) == 6


def test_an_image_that_is_not_there() -> None:
    with pytest.raises(errors.NotFound, match=r"docker\.io/library/x:latest"):
        pulls.pull(REFERENCE, FakeRegistry(), FakeGraph())


def test_locks_do_not_pile_up() -> None:
    before = set(pulls._locks._held)
    pulls.pull(REFERENCE, registry(layered(2)), FakeGraph())
    assert set(pulls._locks._held) <= before
