"""`pydock get containers` with 30 of them, as a person runs it; beside it `podman ps`."""

from __future__ import annotations

from bench import clock
from bench.report import Line
from bench.stage import Stage


def measure(stage: Stage) -> list[Line]:
    host, podman = stage.thirty, stage.podman
    podman.run_many(ports := stage.ports("get", 30))
    ours: list[float] = []
    theirs: list[float] = []
    for _ in stage.rounds(20, 5):
        with clock.Stopwatch() as watch:
            done = host.cli("get", "containers")
        assert len(done.stdout.splitlines()) == 31, done.stdout + done.stderr
        ours.append(watch.seconds)
        with clock.Stopwatch() as watch:
            podman.ask("ps")
        theirs.append(watch.seconds)
    podman.remove(*ports)
    return [Line("`pydock get containers`, 30 of them", ours, "ms", {"podman": theirs}, most=0.15)]
