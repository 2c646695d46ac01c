"""What keeps the loop from doing too much at once: one pull of an image, so many repairs of one object in a while."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterator

from reconciler import errors
from reconciler.model.keys import Key
from reconciler.model.plan import Step

#: so many repairs of one object in so many seconds mean that somebody keeps undoing them
_MOST, _WHILE = 30, 10.0
#: seconds until the next one then
_PAUSE = 5.0


class Shared:
    """Who carries out which shared step now, such as a pull: whoever else wants it waits for that key, and holds no
    worker meanwhile."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._holders: dict[str, Key] = {}

    @contextlib.contextmanager
    def claim(self, what: str, key: Key) -> Iterator[Key | None]:
        """None while the pull is ``key``'s; else the key that has it."""
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
    """So many looks at once, so that the first end early instead of all late. Whoever takes longer than others should
    wait for it (a pull, a grace period, what hangs) holds no place any more."""

    def __init__(self, count: int, patience: float) -> None:
        """``patience`` in seconds."""
        self._count, self._patience = count, patience
        self._since: dict[int, float] = {}
        self._free = threading.Condition()

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Waits for a place, at most as long as the others may hold theirs."""
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
        """Seconds until a place is free if nobody leaves before."""
        ends = sorted(since + self._patience - now for since in self._since.values())
        held = [left for left in ends if left > 0]
        return 0.0 if len(held) < self._count else held[-self._count]


class Mends:
    """Counts repairs, so that a fight with another program does not become a loop."""

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
