"""kill -9 at random moments of two hundred pulls: the next one completes, fetches nothing again that was here, and what
is then on the disk is what it should be, with nothing besides."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from reconciler.testing import graph_tars as tars
from reconciler.testing import images, registry_hostile
from reconciler.testing.killed_pulls import Forker
from reconciler.testing.pulling import Puller
from reconciler.testing.registry_hostile import HostileServer

_LAYERS, _FILES = 3, 40
_KILLS, _SEEDS = 25, range(8)


def image(seed: int) -> images.Image:
    bytes_of = random.Random(seed).randbytes
    layers = [
        tars.archive([tars.Member(b"layer%d/file%d" % (layer, number), bytes_of(4000)) for number in range(_FILES)])
        for layer in range(_LAYERS)
    ]
    return images.build(layers)


@pytest.fixture(scope="module")
def server() -> Iterator[HostileServer]:
    with registry_hostile.hostile() as found:
        yield found


@pytest.fixture(scope="module")
def forker() -> Iterator[Forker]:
    with contextlib.closing(Forker()) as found:
        yield found


def here(work: pathlib.Path) -> set[str]:
    """The blobs that a pull has stored."""
    directory = work / "graph" / "blobs" / "sha256"
    return {f"sha256:{path.name}" for path in directory.iterdir()} if directory.exists() else set()


@dataclass(frozen=True)
class Whole:
    """A pull that nothing disturbed: what there is then, and the seconds that it takes."""

    tree: dict[str, str]
    takes: float


def whole(forker: Forker, work: pathlib.Path, reference: str) -> Whole:
    """Each layer is what its blob unpacks to."""
    report, seconds = work / "report", []
    for name in ("first", "second"):
        began = time.monotonic()
        forker.begin(work / name, reference)
        assert forker.end() == 0
        seconds.append(time.monotonic() - began)
    forker.begin(work / "second", reference, report)
    assert forker.end() == 0
    with contextlib.closing(Puller(work / "second")) as puller:
        assert puller.problems() == []
    return Whole(json.loads(report.read_text())["tree"], min(seconds))


@pytest.mark.parametrize("seed", _SEEDS)
def test_killed_at_random_moments_of_a_pull(
    tmp_path: pathlib.Path, server: HostileServer, forker: Forker, seed: int
) -> None:
    made = image(seed)
    reference = server.serve_image(made)
    layers = [layer["digest"] for layer in json.loads(made.manifest)["layers"]]
    undisturbed, report = whole(forker, tmp_path, reference), tmp_path / "report"
    assert len(undisturbed.tree) > _LAYERS * _FILES
    moments, killed, saved = random.Random(seed), 0, 0
    pace = undisturbed.takes
    for number in range(_KILLS):
        work = tmp_path / str(number)
        work.mkdir()
        child = forker.begin(work, reference)
        time.sleep(moments.uniform(0, pace))
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        died = forker.end() == -signal.SIGKILL
        killed += died
        before = here(work)
        # the machine is not always as fast as it was: moments go with it, neither all too early nor too late
        pace *= 0.9 if not died else 1.0 if before else 1.1
        saved += len(before)
        server.seen.clear()
        report.unlink()
        forker.begin(work, reference, report)
        assert forker.end() == 0, f"the pull after kill {number}"
        assert json.loads(report.read_text()) == {"problems": [], "tree": undisturbed.tree}, f"kill {number}"
        again = {path.rpartition("/")[2] for path in server.paths if "/blobs/" in path} & before
        assert not again, f"fetched again after kill {number}"
        assert here(work) >= set(layers)
        assert list((work / "graph" / "tmp").iterdir()) == []
    assert killed > _KILLS // 3
    assert saved > _KILLS // 3
