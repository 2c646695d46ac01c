"""The order of a push, on fakes."""

from __future__ import annotations

import threading

import pytest

from reconciler import errors
from reconciler.images import pulling as pulls
from reconciler.images import pushing as pushes
from reconciler.model import references
from reconciler.testing import graph_tars as tars
from reconciler.testing import images
from reconciler.testing.graph_fake import FakeGraph
from reconciler.testing.registry_fake import FakeRegistry

SOURCE, TARGET = references.parse("r.example/from:1"), references.parse("r.example/to:1")
IMAGE = images.build([tars.archive([tars.Member(b"f%d" % number, b"x" * 100_000)]) for number in range(3)])


@pytest.fixture
def graph() -> FakeGraph:
    made, registry = FakeGraph(), FakeRegistry()
    registry.add(str(SOURCE), IMAGE)
    pulls.pull(SOURCE, registry, made)
    return made


def test_everything_is_there_before_the_tag(graph: FakeGraph) -> None:
    registry, told = FakeRegistry(), []
    pushes.push(TARGET, IMAGE.digest, registry, graph, progress=lambda *words: told.append(words))
    assert registry.images[str(TARGET)] == images.Image(IMAGE.manifest, IMAGE.media_type, IMAGE.blobs)
    for digest, data in IMAGE.blobs.items():
        mine = [words for words in told if words[1] == digest]
        assert [status for status, *_ in mine] == ["waiting", "uploading", "uploaded"]
        assert all(total == len(data) for *_, total in mine)
        assert mine[-1][2] == len(data)


def test_what_the_registry_has_is_not_sent(graph: FakeGraph) -> None:
    registry, told = FakeRegistry(), []
    pushes.push(SOURCE, IMAGE.digest, registry, graph)
    elsewhere = dict.fromkeys(IMAGE.blobs, "from")
    for expected in ("mounted", "exists"):
        told.clear()
        pushes.push(
            TARGET, IMAGE.digest, registry, graph, elsewhere=elsewhere, progress=lambda *words: told.append(words)
        )
        assert {status for status, *_ in told} == {"waiting", expected}


def test_a_busy_registry_is_asked_again_a_few_times(graph: FakeGraph) -> None:
    registry = FakeRegistry()
    registry.refuses = [errors.Temporary("busy", delay=0.001) for _ in range(3)]
    pushes.push(TARGET, IMAGE.digest, registry, graph, parallel=1)
    assert registry.refuses == []
    registry = FakeRegistry()
    registry.refuses = [errors.Temporary("busy", delay=0.001) for _ in range(50)]
    with pytest.raises(errors.Temporary, match="busy"):
        pushes.push(TARGET, IMAGE.digest, registry, graph, parallel=1)
    assert len(registry.refuses) == 46
    assert registry.images == {}


@pytest.mark.parametrize(
    "error", [errors.Temporary("busy", delay=60.0), errors.Permanent("no"), errors.Forbidden("no")]
)
def test_what_needs_patience_or_somebody_ends_it(graph: FakeGraph, error: errors.PydockError) -> None:
    registry = FakeRegistry()
    registry.refuses = [error]
    with pytest.raises(type(error)):
        pushes.push(TARGET, IMAGE.digest, registry, graph, parallel=1)
    assert registry.images == {}


def test_a_blob_that_is_gone_or_damaged_here_is_told(graph: FakeGraph) -> None:
    layer = next(digest for digest in IMAGE.blobs if digest != IMAGE.image_id)
    graph.contents[layer] = graph.contents[layer][:-1]
    with pytest.raises(errors.Permanent, match=f"{layer} is damaged here"):
        pushes.push(TARGET, IMAGE.digest, FakeRegistry(), graph)
    for digest in (layer, IMAGE.digest):
        graph.remove_blob(digest)
        with pytest.raises(errors.NotFound, match=f"its blob {digest} is not here any more: pull the image again"):
            pushes.push(TARGET, IMAGE.digest, FakeRegistry(), graph)


def test_when_nobody_listens_any_more_it_ends_with_that(graph: FakeGraph) -> None:
    class Left(ConnectionError):
        pass

    def leave(status: str, digest: str, current: int, total: int) -> None:
        if status == "uploading":
            raise Left

    registry = FakeRegistry()
    with pytest.raises(Left):
        pushes.push(TARGET, IMAGE.digest, registry, graph, progress=leave)
    assert registry.images == {}


def test_it_is_given_up_when_the_daemon_ends(graph: FakeGraph) -> None:
    registry, stopping = FakeRegistry(), threading.Event()
    stopping.set()
    with pytest.raises(errors.Temporary, match="given up: pydockd is shutting down"):
        pushes.push(TARGET, IMAGE.digest, registry, graph, stopping=stopping)
    assert registry.images == {}


def test_layers_that_may_not_be_handed_on_are_not(graph: FakeGraph) -> None:
    foreign = images.build([b"theirs"], docker=True)
    raw = foreign.manifest.replace(b"rootfs.diff.tar.gzip", b"rootfs.foreign.diff.tar.gzip")
    for data in (raw, *foreign.blobs.values()):
        graph.contents[images.digest(data)] = data
    registry = FakeRegistry()
    with pytest.raises(KeyError):  # the fake takes no manifest without all of its blobs
        pushes.push(TARGET, images.digest(raw), registry, graph)
    assert list(registry.pushed[TARGET.name]) == [foreign.image_id]
