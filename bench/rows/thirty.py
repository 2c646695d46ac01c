"""30 containers: from one directory, the debounce included; podman's and the bare ones four at a time."""

from __future__ import annotations

from bench import clock
from bench.report import Line
from bench.stage import Stage


def measure(stage: Stage) -> list[Line]:
    host, podman, bare = stage.host, stage.podman, stage.bare
    ours: list[float] = []
    peers: dict[str, list[float]] = {"podman": [], "bare": []}
    for _ in stage.rounds(5, 2):
        ports = stage.ports("thirty", 30)
        with clock.Stopwatch() as watch:
            host.drop(ports)
            clock.served(ports.values())
        ours.append(watch.seconds)
        host.lift()
        for name, peer in (("podman", podman), ("bare", bare)):
            ports = stage.ports("thirty", 30)
            with clock.Stopwatch() as watch:
                peer.run_many(ports)
                clock.served(ports.values())
            peers[name].append(watch.seconds)
            peer.remove(*ports)
    return [Line("30 containers from a directory", ours, "s", peers, "podman", 0.5)]
