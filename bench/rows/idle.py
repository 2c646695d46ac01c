"""What pydock takes of a core when 30 containers run and nothing happens."""

from __future__ import annotations

import time

from bench import clock
from bench.report import Line
from bench.stage import Host, Stage

_SECONDS, _FEW = 60.0, 10.0


def measure(stage: Stage) -> list[Line]:
    host = stage.thirty
    _settled(host)
    seconds = _FEW if stage.quick else _SECONDS
    before, began = _consumed(host), time.monotonic()
    time.sleep(seconds)
    share = (_consumed(host) - before) / (time.monotonic() - began)
    return [Line(f"idle with 30 containers, of one core over {seconds:.0f} s", [share], "%", most=0.005)]


def _settled(host: Host) -> None:
    """Until a second has passed in which nearly nothing was done: workers have left, tables are written."""

    def quiet() -> bool:
        before = _consumed(host)
        time.sleep(1.0)
        return _consumed(host) - before < 0.01

    clock.until(quiet, "the daemon to come to rest", 30.0)


def _consumed(host: Host) -> float:
    """Seconds of processor time of pydock's processes, ended threads included (their CPU clocks, clock_getres(2))."""
    return sum(time.clock_gettime((~pid << 3) | 2) for pid in host.processes().values())
