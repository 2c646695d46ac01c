"""The first restart of a container whose process was killed: from its end to the answer of the next process."""

from __future__ import annotations

import os
import select
import signal

from bench import clock
from bench.report import Line, percentile
from bench.stage import Stage


def measure(stage: Stage) -> list[Line]:
    host, podman = stage.host, stage.podman
    ours: list[float] = []
    theirs: list[float] = []
    for number in stage.rounds(60, 12):
        name, port = stage.port("heal")
        host.run_one(name, port)
        ours.append(_heals(int(host.wait_ready_container(name)["pid"]), port))
        host.remove(name)
        if number % 6 == 0:
            name, port = stage.port("heal")
            podman.run(name, port, "--restart", "always")
            clock.served([port])
            theirs.append(_heals(podman.pid(name), port))
            podman.remove(name)
    peers = {"podman": theirs}
    return [
        Line("killed process serves again, median", ours, peers=peers),
        Line(f"… p99 of {len(ours)} first restarts", [percentile(ours, 0.99)], most=0.2),
    ]


def _heals(process: int, port: int) -> float:
    """Kills a container's first process; the seconds until its port answers again."""
    ended = os.pidfd_open(process)
    try:
        with clock.Stopwatch() as watch:
            os.kill(process, signal.SIGKILL)
            # as long as it has not ended it may answer yet
            select.select([ended], [], [], 10.0)
            clock.served([port])
    finally:
        os.close(ended)
    return watch.seconds
