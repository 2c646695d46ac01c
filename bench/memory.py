"""Memory of processes: the proportional set size, in which what processes share is counted in equal parts."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

#: seconds between two looks at a peak
_PAUSE = 0.02


def pss(pid: int) -> float:
    """Bytes."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return float(line.split()[1]) * 1024
    raise AssertionError(f"no Pss of process {pid}")


def children(pid: int) -> list[int]:
    """Of all threads of the process."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended since
            found += map(int, (task / "children").read_text().split())
    return found


def tree(pids: Iterable[int]) -> float:
    """Bytes of these processes and all below them; those that end meanwhile count nothing."""
    size = 0.0
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, AssertionError):
            size += pss(pid) + tree(children(pid))
    return size


class Peak:
    """``with Peak(look) as peak: …``, then ``peak.bytes``: the most that ``look`` found meanwhile."""

    def __init__(self, look: Callable[[], float]) -> None:
        self._look = look
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._run, daemon=True)
        self.bytes = 0.0

    def _run(self) -> None:
        while not self._over.wait(_PAUSE):
            self.bytes = max(self.bytes, self._look())

    def __enter__(self) -> Peak:
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watch.join()
