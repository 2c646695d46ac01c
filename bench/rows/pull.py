"""Pulling the big image from a registry on loopback: whole commands, each on a new file system.

The clock stops when the command ends: for pydock the image is then verified, unpacked, recorded and synced. Beside it
podman, docker, and as the floor ``skopeo copy`` to a directory, which unpacks nothing.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import clock, disk
from bench.memory import Peak, tree
from bench.peers.docker import Docker
from bench.peers.podman import Podman
from bench.report import Line, Unit
from bench.stage import Host, Stage
from reconciler.client.client import Client

#: pulls by name of who does it
Samples = dict[str, list[float]]
Pull = Callable[[str], object]


def measure(stage: Stage) -> list[Line]:
    first, again, second, packed = Samples(), Samples(), Samples(), Samples()
    for _ in stage.rounds(5, 1):
        for name, place in _PLACES.items():
            with place(stage) as pull:
                _time(first, name, pull, stage.big("three"))
                _time(again, name, pull, stage.big("three"))
                _time(second, name, pull, stage.big("other"))
            with place(stage) as pull, contextlib.suppress(_Unable):
                _time(packed, name, pull, stage.big("zstd"))
    del again["bare"]  # it downloads all of it each time
    peaks = {name: _peak(stage, name) for name in ("pydock", "docker")}
    what = "pull of 3 layers, 232 MB packed, 28,000 files"
    return [
        _line(what, first, "docker", 0.8),
        _line("… the same, beside podman", first, "podman", 0.5),
        _line("… the same image packed with zstd", packed, "podman", 0.5),
        _line("pull of another that shares two layers", second, "docker", None),
        _line("`pydock pull` again, the tag unchanged", again, "docker", None, "ms"),
        Line("… over the API, one HEAD request in it", _again(stage), "ms", most=0.03),
        Line("peak memory while pulling a layer of 2 GB", [peaks["pydock"]], "MB", {"docker": [peaks["docker"]]},
             most=150e6),
    ]  # fmt: skip


def _line(what: str, samples: Samples, against: str, most: float | None, unit: Unit = "s") -> Line:
    peers = {name: found for name, found in samples.items() if name != "pydock"}
    return Line(what, samples["pydock"], unit, peers, against, most)


class _Unable(Exception):
    """this peer cannot do it"""


def _time(samples: Samples, name: str, pull: Pull, reference: str) -> None:
    with clock.Stopwatch() as watch:
        pull(reference)
    samples.setdefault(name, []).append(watch.seconds)


def _again(stage: Stage) -> list[float]:
    """Pulls of an unchanged tag by one who has a connection already."""
    found = Samples()
    client = Client(str(stage.host.socket))
    for _ in stage.rounds(20, 5):
        _time(found, "pydock", lambda reference: list(client.pull(reference)), stage.image)
    return found["pydock"]


def _peak(stage: Stage, name: str) -> float:
    with disk.fresh(stage.work) as place:
        if name == "docker":
            docker = Docker(place)
            with contextlib.closing(docker), Peak(docker.memory) as peak:
                docker.ask("pull", "-q", stage.big("huge"))
        else:
            with _host(place) as host:
                assert host.process is not None
                controller = host.process.pid
                with Peak(lambda: tree([controller])) as peak:
                    _pull(host, stage.big("huge"))
    return peak.bytes


@contextlib.contextmanager
def _host(place: Path) -> Iterator[Host]:
    host = Host(place / "pydock", "")
    try:
        host.start()
        yield host
    finally:
        host.close()


def _pull(host: Host, reference: str) -> None:
    done = host.cli("pull", reference)
    assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def _ours(stage: Stage) -> Iterator[Pull]:
    with disk.fresh(stage.work) as place, _host(place) as host:
        yield lambda reference: _pull(host, reference)


@contextlib.contextmanager
def _podman(stage: Stage) -> Iterator[Pull]:
    with disk.fresh(stage.work) as place:
        podman = Podman(place / "podman", stage.bare.facts.path, "", "")
        yield lambda reference: podman.ask("pull", "-q", "--tls-verify=false", reference)


@contextlib.contextmanager
def _docker(stage: Stage) -> Iterator[Pull]:
    with disk.fresh(stage.work) as place, contextlib.closing(Docker(place)) as docker:

        def pull(reference: str) -> None:
            try:
                docker.ask("pull", "-q", reference)
            except AssertionError as error:
                raise _Unable from error

        yield pull


@contextlib.contextmanager
def _skopeo(stage: Stage) -> Iterator[Pull]:
    """The download alone, to a directory of its own each time."""
    with disk.fresh(stage.work) as place:

        def pull(reference: str) -> None:
            directory = place / reference.rpartition(":")[2]
            command = ["skopeo", "copy", "-q", "--src-tls-verify=false", f"docker://{reference}", f"dir:{directory}"]
            subprocess.run(command, check=True, capture_output=True)

        yield pull


_PLACES = {"pydock": _ours, "podman": _podman, "docker": _docker, "bare": _skopeo}
