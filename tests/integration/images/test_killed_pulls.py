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

import pytest

from reconciler.testing import graph_tars as tars
from reconciler.testing import images, registry_hostile
from reconciler.testing.killed_pulls import Forker
from reconciler.testing.registry_hostile import HostileServer

_LAYERS, _FILES = 4, 60
_KILLS, _SEEDS = 25, range(8)


def image(seed: int) -> images.Image:
    bytes_of = random.Random(seed).randbytes
    layers = [
        tars.archive([tars.Member(b"layer%d/file%d" % (layer, number), bytes_of(4000)) for number in range(_FILES)])
        for layer in range(_LAYERS)
    ]
    return images.build(layers)


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with registry_hostile.hostile() as found:
        yield found


@pytest.fixture
def forker() -> Iterator[Forker]:
    with contextlib.closing(Forker()) as found:
        yield found


def here(work: pathlib.Path) -> set[str]:
    """The blobs that a pull has stored."""
    directory = work / "graph" / "blobs" / "sha256"
    return {f"sha256:{path.name}" for path in directory.iterdir()} if directory.exists() else set()


def seconds_of_a_pull(forker: Forker, work: pathlib.Path, reference: str) -> float:
    began = time.monotonic()
    forker.begin(work, reference)
    assert forker.end() == 0
    return time.monotonic() - began


@pytest.mark.parametrize("seed", _SEEDS)
def test_killed_at_random_moments_of_a_pull(
    tmp_path: pathlib.Path, server: HostileServer, forker: Forker, seed: int
) -> None:
    made = image(seed)
    reference = server.serve_image(made)
    layers = [layer["digest"] for layer in json.loads(made.manifest)["layers"]]
    takes = min(seconds_of_a_pull(forker, tmp_path / f"whole{number}", reference) for number in range(3))
    moments, killed, saved = random.Random(seed), 0, 0
    for number in range(_KILLS):
        work = tmp_path / str(number)
        work.mkdir()
        child = forker.begin(work, reference)
        time.sleep(moments.uniform(0, takes))
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        killed += forker.end() == -signal.SIGKILL
        before = here(work)
        saved += len(before)
        server.seen.clear()
        forker.begin(work, reference, check=True)
        assert forker.end() == 0, f"the pull after kill {number}"
        again = {path.rpartition("/")[2] for path in server.paths if "/blobs/" in path} & before
        assert not again, f"fetched again after kill {number}"
        assert here(work) >= set(layers)
        assert list((work / "graph" / "tmp").iterdir()) == []
    assert killed > _KILLS // 3
    assert saved > _KILLS // 3
