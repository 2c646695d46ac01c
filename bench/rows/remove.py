"""Removal of 30 running containers, until nothing of them is left."""

from __future__ import annotations

from bench import clock
from bench.report import Line
from bench.stage import Stage


def measure(stage: Stage) -> list[Line]:
    host, podman, bare = stage.host, stage.podman, stage.bare
    ours: list[float] = []
    peers: dict[str, list[float]] = {"podman": [], "bare": []}
    for _ in stage.rounds(3, 1):
        ports = stage.ports("gone", 30)
        for name, port in ports.items():
            host.apply(host.document(name, port))
        clock.served(ports.values())
        with clock.Stopwatch() as watch:
            host.remove(*ports)
        ours.append(watch.seconds)
        for name, peer in (("podman", podman), ("bare", bare)):
            peer.run_many(ports)
            clock.served(ports.values())
            with clock.Stopwatch() as watch:
                peer.remove(*ports)
            peers[name].append(watch.seconds)
    return [Line("removal of 30", ours, "s", peers, "podman")]
