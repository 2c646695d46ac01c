"""A commit that cannot be whole makes no image, and leaves nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler import errors, ipc
from reconciler.engine.job import Job
from reconciler.testing.loop import Loop, container, container_key


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    made = Loop(tmp_path)
    made.apply(container("web", command=["serve"]))
    try:
        yield made
    finally:
        made.close()


def commit(loop: Loop, **more: Any) -> Any:
    args = {"namespace": "default", "name": "web", "reference": "made:1"}
    return loop.engine.run(Job("commit", args=args, **more))


def meanwhile(loop: Loop, happens: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """While the files are read."""
    real = loop.snapshots.diff

    def diff(id: str, without: Collection[bytes] = ()) -> Iterator[bytes]:
        yield from real(id, without)
        happens()

    monkeypatch.setattr(loop.snapshots, "diff", diff)


def test_an_image_is_made(loop: Loop) -> None:
    before = set(loop.graph.contents)
    assert commit(loop) == {"images": ["docker.io/library/made:1"]}
    assert len(set(loop.graph.contents) - before) == 3


@pytest.mark.parametrize("how", ["removed", "made anew"])
def test_a_container_that_goes_meanwhile(loop: Loop, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    before = dict(loop.graph.contents)

    def happens() -> None:
        loop.delete(container_key("web")) if how == "removed" else loop.apply(container("web", command=["other"]))

    meanwhile(loop, happens, monkeypatch)
    with pytest.raises(errors.Conflict, match="removed or made anew while its files were read"):
        commit(loop)
    assert loop.graph.contents == before


def test_who_asked_leaves(loop: Loop) -> None:
    before = dict(loop.graph.contents)
    with pytest.raises(ipc.CallerLeft):
        commit(loop, gone=lambda: True)
    assert loop.graph.contents == before


def test_the_daemon_ends(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    before = dict(loop.graph.contents)
    job = Job("commit", args={"namespace": "default", "name": "web"})
    ended = threading.Event()

    def pieces(id: str, without: Collection[bytes] = ()) -> Iterator[bytes]:
        while True:
            yield bytes(1 << 20)
            loop.engine.close()
            ended.set()

    monkeypatch.setattr(loop.snapshots, "diff", pieces)
    with pytest.raises(errors.Temporary, match="shutting down"):
        loop.engine.run(job)
    assert ended.is_set()
    assert loop.graph.contents == before
