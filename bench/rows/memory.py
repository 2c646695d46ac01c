"""Memory with 30 containers: the proportional set size of what pydock runs, and of the monitors that each container
has."""

from __future__ import annotations

from pathlib import Path

from bench.memory import pss
from bench.report import Line
from bench.stage import Stage, command


def measure(stage: Stage) -> list[Line]:
    host, podman = stage.thirty, stage.podman
    # asked a few things, as a daemon is
    for _ in range(5):
        host.api("GET", "/apis/pydock.dev/v1/containers")
    parts = {name: pss(pid) for name, pid in host.processes().items()}
    monitors = [pss(pid) for pid in _conmons(str(host.run))]
    assert len(monitors) == len(host.dropped), f"{len(monitors)} monitors of {len(host.dropped)} containers"
    podman.run_many(ports := stage.ports("memory", 30))
    theirs = [pss(pid) for pid in podman.conmons()]
    podman.remove(*ports)
    lines = [Line("memory with 30 containers (PSS)", [sum(parts.values())], "MB", most=100e6)]
    lines += [Line(f"… of that {name}", [size], "MB") for name, size in parts.items()]
    return [*lines, Line("… a container's conmon", monitors, "MB", {"podman": theirs}, most=2.5e6)]


def _conmons(run_dir: str) -> list[int]:
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                words = command(int(place.name))
            except OSError:
                continue
            if Path(words.split(b"\0")[0].decode()).name == "conmon" and run_dir.encode() in words:
                found.append(int(place.name))
    return found
