"""What a row gives, and how it is printed."""

from __future__ import annotations

import math
import os
import platform
import statistics
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Unit = Literal["s", "ms", "MB", "%"]
_FORMATS: dict[Unit, Callable[[float], str]] = {
    "s": lambda value: f"{value:.2f} s",
    "ms": lambda value: f"{value * 1000:.0f} ms",
    "MB": lambda value: f"{value / 1e6:.1f} MB",
    "%": lambda value: f"{value * 100:.2f} %",
}
#: the floor is what nobody can be faster than who works with the same tools: see the row
_PEERS = ("podman", "docker", "bare")
_HEAD = ("work", "pydock", "podman", "docker", "floor", "ratio", "aim", "")


@dataclass(frozen=True)
class Line:
    """One line of the table. Times are seconds, sizes bytes, shares fractions; of each list the median counts.

    ``most`` is the aim: the most that ``ours`` may be, or, with ``against`` naming a peer, the most that its ratio to
    that peer's may be. A line without ``most`` only tells.
    """

    what: str
    ours: Sequence[float]
    unit: Unit = "ms"
    peers: Mapping[str, Sequence[float]] = field(default_factory=dict)
    against: str = ""
    most: float | None = None

    @property
    def value(self) -> float:
        return statistics.median(self.ours)

    def ratio(self, peer: str) -> float:
        return self.value / statistics.median(self.peers[peer])

    @property
    def met(self) -> bool | None:
        """None without an aim."""
        if self.most is None:
            return None
        return (self.ratio(self.against) if self.against else self.value) <= self.most

    def cells(self) -> tuple[str, ...]:
        show = _FORMATS[self.unit]
        peers = [show(statistics.median(self.peers[name])) if name in self.peers else "" for name in _PEERS]
        ratio = self.against or next(iter(self.peers), "")
        return (
            self.what, show(self.value), *peers, f"{self.ratio(ratio):.2f} × {ratio}" if ratio else "", self._aim(),
            {True: "met", False: "MISSED", None: ""}[self.met],
        )  # fmt: skip

    def _aim(self) -> str:
        if self.most is None:
            return ""
        return f"≤ {self.most:g} × {self.against}" if self.against else f"≤ {_FORMATS[self.unit](self.most)}"

    def spread(self) -> str:
        """All samples by their extremes and their number, for whoever doubts the median."""
        show = _FORMATS[self.unit]
        parts = [
            f"{name} {show(min(found))} … {show(max(found))} ({len(found)})"
            for name, found in (("pydock", self.ours), *self.peers.items())
            if found
        ]
        return f"{self.what}: " + ", ".join(parts)


def percentile(samples: Sequence[float], share: float) -> float:
    """The smallest sample that at least ``share`` of all samples do not exceed."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def table(lines: Sequence[Line]) -> str:
    """The table as Markdown, which is also how it is read on a terminal."""
    rows = [_HEAD, *(line.cells() for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    texts = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([texts[0], rule, *texts[1:]])


def machine(programs: Mapping[str, str]) -> str:
    """Where it was measured; ``programs`` maps a name to its version."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.partition(":")[2].strip() for line in lines if "model name" in line), platform.machine())
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30)
    versions = ", ".join(f"{name} {version}" for name, version in programs.items())
    return (
        f"{os.cpu_count()} × {cpu}, {memory:.0f} GiB, Linux {os.uname().release}, Python {platform.python_version()}\n"
        f"{versions}"
    )


def load() -> str:
    return Path("/proc/loadavg").read_text().split()[0]


def version(*command: str) -> str:
    """The last word of the first line that ``command`` prints, or the one after the word version."""
    words = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0].split()
    return words[words.index("version") + 1] if "version" in words[:-1] else words[-1]
