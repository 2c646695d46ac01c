"""A process killed at any point of a pull or of a snapshot's life leaves nothing half-made that the next start
keeps."""

from __future__ import annotations

import importlib
import os
import pathlib
import signal
import subprocess

import pytest

from reconciler import failpoints
from reconciler.testing import graph_tars as tars
from reconciler.testing.forking import Forked
from reconciler.testing.graph_suite import Place

SMALL = [tars.Member(b"a", b"1")]


def work(root: pathlib.Path, driver: str, first: list[tars.Member], **env: str) -> Forked:
    """A process that goes through what there is, with ``first`` in the lower layer."""

    def run(_: list[str]) -> None:
        importlib.reload(failpoints)
        place = Place(root, driver)
        chain = place.stack(first, [tars.Member(b"b", b"2")])
        place.driver.prepare("one", chain)
        place.driver.remove("one")
        place.graph.remove_layer(chain[1])
        place.driver.prepare("two", chain[:1])

    return Forked(run, ["work"], env={**os.environ, **env})


@pytest.fixture(params=["overlay", "vfs", "btrfs"])
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def root(driver: str, request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> pathlib.Path:
    """Where the driver works."""
    if driver != "btrfs":
        return tmp_path
    found: pathlib.Path = request.getfixturevalue("btrfs") / tmp_path.name
    found.mkdir()
    return found


def points(root: pathlib.Path, driver: str) -> list[str]:
    record = root / "points"
    assert work(root / "learn", driver, SMALL, PYDOCK_FAILPOINT_RECORD=str(record)).wait(60) == 0
    names = record.read_text().split()
    return [f"{name}:{names[: index + 1].count(name)}" for index, name in enumerate(names) if name.startswith("graph.")]


def test_kills_at_every_point(root: pathlib.Path, driver: str) -> None:
    found = points(root, driver)
    assert len(found) >= 20
    for index, point in enumerate(found):
        place = root / str(index)
        assert work(place, driver, SMALL, PYDOCK_FAILPOINT=point).wait(60) == -signal.SIGKILL, point
        _check(place, driver, point)


def _check(root: pathlib.Path, driver: str, point: str) -> None:
    place = Place(root, driver)
    try:
        assert place.leftovers() == [], point
        assert len(os.listdir(root / "layers")) == len(place.graph.layers()), point
        for id in place.driver.snapshots():
            place.driver.remove(id)
        assert os.listdir(root / "snapshots") == [], point
        chain = place.stack([tars.Member(b"a", b"1")], [tars.Member(b"b", b"2")])
        assert sorted(os.listdir(place.driver.prepare("after", chain))) == ["a", "b"], point
        for digest in place.graph.blobs():
            assert place.put(place.graph.read_blob(digest, 1 << 20)) == digest, point
    finally:
        place.close()


@pytest.mark.parametrize("after", [0.02, 0.05, 0.1])
def test_kills_in_the_middle_of_an_extraction(root: pathlib.Path, driver: str, after: float) -> None:
    process = work(root / "graph", driver, [tars.Member(b"f%d" % n, b"x" * 5000) for n in range(20_000)])
    try:
        _await_extraction(root / "graph" / "tmp", process, int(after * 1000))
    finally:
        process.kill()
        process.wait()
    place = Place(root / "graph", driver)
    assert place.leftovers() == []
    assert place.graph.layers() == ()


def _await_extraction(directory: pathlib.Path, process: subprocess.Popen[bytes], files: int) -> None:
    """Until a layer that is being made has so many files."""
    from reconciler.testing.wait import until

    def enough() -> bool:
        assert process.poll() is None
        return any(len(os.listdir(path)) >= files for path in directory.glob("layer-*"))

    until(enough, 20, "files of a layer")
