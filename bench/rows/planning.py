"""10,000 objects with nothing to do, and one change among them: each time a new process on a copy of the same store."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

from bench import ten_thousand
from bench.report import Line
from bench.stage import Stage


def measure(stage: Stage) -> list[Line]:
    model = stage.work / "model.db"
    ten_thousand.build(model)
    rounds = stage.rounds(7, 3)
    found: dict[str, list[float]] = {}
    for number in rounds:
        copy = stage.work / "copy.db"
        shutil.copy(model, copy)
        more = ["--resync"] if number == 0 and not stage.quick else []
        done = subprocess.run(
            [sys.executable, "-m", "bench.ten_thousand", str(copy), *more], capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        for what, seconds in json.loads(done.stdout).items():
            found.setdefault(what, []).append(seconds)
        for file in stage.work.glob("copy.db*"):
            file.unlink()
    lines = [
        Line("no-op reconcile of 10,000 objects", found["nothing"], "ms", most=0.5),
        Line("one change among them, in place", found["in place"], "ms", most=0.05),
        Line("one change that makes a container anew", found["anew"], "ms", most=0.05),
    ]
    if "resync" in found:
        lines.append(Line("a close look at each of them (timed resync)", found["resync"], "s"))
    return lines
