"""Keeps the loop from doing too much at once: one pull of each image, a limited number of looks at once, and of repairs
of one object."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterator

from reconciler import errors
from reconciler.model.keys import Key
from reconciler.model.plan import Step

#: this many repairs of one object in this many seconds mean that somebody keeps undoing them
_MOST, _WHILE = 30, 10.0
#: seconds until the next repair in that case
_PAUSE = 5.0


class Shared:
    """Which key carries out which shared step now, such as a pull. Other keys that want the step wait for that key, and
    hold no worker meanwhile."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._holders: dict[str, Key] = {}

    @contextlib.contextmanager
    def claim(self, what: str, key: Key) -> Iterator[Key | None]:
        """Gives None if the step is ``key``'s while the block runs, or else the key that has it."""
        with self._guard:
            holder = self._holders.setdefault(what, key)
        try:
            yield None if holder == key else holder
        finally:
            if holder == key:
                with self._guard:
                    self._holders.pop(what, None)

    def holder(self, what: str) -> Key | None:
        with self._guard:
            return self._holders.get(what)


class Places:
    """Limits the looks at once, so that the first end early instead of all late. A look that takes longer than others
    should wait for (a pull, a grace period, one that hangs) no longer holds a place."""

    def __init__(self, count: int, patience: float) -> None:
        """``patience`` in seconds."""
        self._count, self._patience = count, patience
        self._since: dict[int, float] = {}
        self._free = threading.Condition()

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Waits for a place, at most for as long as the others may hold theirs."""
        me = threading.get_ident()
        with self._free:
            while (pause := self._until_free(time.monotonic())) > 0:
                self._free.wait(pause)
            self._since[me] = time.monotonic()
        try:
            yield
        finally:
            with self._free:
                del self._since[me]
                self._free.notify()

    def _until_free(self, now: float) -> float:
        """Seconds until a place becomes free even if nobody leaves."""
        ends = sorted(since + self._patience - now for since in self._since.values())
        held = [left for left in ends if left > 0]
        return 0.0 if len(held) < self._count else held[-self._count]


class Mends:
    """Counts repairs, so that a fight with another program does not go on without a pause."""

    def __init__(self) -> None:
        self._times: dict[Key, deque[float]] = {}

    def count(self, step: Step, now: float) -> None:
        """Raises ``Temporary`` when ``step`` is one repair too many. ``now`` is CLOCK_BOOTTIME seconds."""
        if not step.task.mends:
            return
        times = self._times.setdefault(step.key, deque(maxlen=_MOST))
        if len(times) == _MOST and now - times[0] < _WHILE:
            facets = ", ".join(step.args.get("facets", ()))
            raise errors.Temporary(
                f"repaired {_MOST} times within {_WHILE:g} s ({facets}): another program on this host keeps undoing it",
                delay=_PAUSE,
            )
        times.append(now)

    def forget(self, key: Key) -> None:
        self._times.pop(key, None)
