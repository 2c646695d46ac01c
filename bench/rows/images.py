"""`pydock image ls` with 500 of them, as a person runs it; beside it what the peers list of the same archives."""

from __future__ import annotations

import contextlib
import json
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from bench import clock, disk
from bench.peers.docker import Docker
from bench.peers.podman import Podman
from bench.report import Line
from bench.stage import Host, Stage
from reconciler.testing import graph_tars, images

_COUNT = 500
#: pydock takes 256 images of an archive at most
_IN_AN_ARCHIVE = 250


def measure(stage: Stage) -> list[Line]:
    found: dict[str, list[float]] = {"pydock": [], "podman": [], "docker": []}
    archives = [stage.work / f"from-{first}.tar" for first in range(0, _COUNT, _IN_AN_ARCHIVE)]
    for number, archive in enumerate(archives):
        _archive(archive, number * _IN_AN_ARCHIVE)
    with disk.fresh(stage.work) as place, _lists(stage, place, archives) as lists:
        for _ in stage.rounds(20, 5):
            for name, ask in lists.items():
                with clock.Stopwatch() as watch:
                    listed = ask()
                assert len(listed.splitlines()) == _COUNT + 1, f"{name}: {listed[:500]}"
                found[name].append(watch.seconds)
    for archive in archives:
        archive.unlink()
    peers = {name: found[name] for name in ("podman", "docker")}
    return [Line(f"`pydock image ls`, {_COUNT} of them", found["pydock"], "ms", peers, most=0.3)]


@contextmanager
def _lists(stage: Stage, place: Path, archives: list[Path]) -> Iterator[dict[str, Callable[[], str]]]:
    """What lists the images, by name of who does it: all have loaded the archives."""
    with contextlib.ExitStack() as stack:
        host = Host(place / "pydock", "")
        stack.callback(host.close)
        host.start()
        podman = Podman(place / "podman", stage.bare.facts.path, "", "")
        docker = stack.enter_context(contextlib.closing(Docker(place)))
        for archive in archives:
            done = host.cli("image", "load", "-i", str(archive))
            assert done.returncode == 0, done.stderr
            podman.ask("load", "-q", "-i", str(archive))
            docker.ask("load", "-q", "-i", str(archive))
        yield {
            "pydock": lambda: host.cli("image", "ls").stdout,
            "podman": lambda: podman.ask("images"),
            "docker": lambda: docker.ask("images"),
        }


def _archive(path: Path, first: int) -> None:
    """Images from number ``first`` on, of two layers each, one of which all share, as `docker save` writes them."""
    below = graph_tars.archive([graph_tars.Member(b"below", bytes(10_000))])
    entries = []
    with tarfile.open(path, "w") as tar:
        _add(tar, "below.tar", below)
        for number in range(first, first + _IN_AN_ARCHIVE):
            own = graph_tars.archive([graph_tars.Member(b"own", b"%d" % number)])
            made = images.build([below, own], {"Cmd": ["/bin/true"]}, docker=True, packing="plain")
            config = json.loads(made.manifest)["config"]["digest"]
            _add(tar, f"{number}.tar", own)
            _add(tar, f"{number}.json", made.blobs[config])
            layers = ["below.tar", f"{number}.tar"]
            entries.append({"Config": f"{number}.json", "RepoTags": [f"bench.test/{number}:1"], "Layers": layers})
        _add(tar, "manifest.json", json.dumps(entries).encode())


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, BytesIO(data))
