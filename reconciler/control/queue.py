"""The queue of keys to look at: each at most once, never by two workers at a time, now or at a deadline."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import deque
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class KeyQueue(Generic[K]):
    """Keys wait in order of arrival; those that are added ``later`` wait behind all others, so that thousands of keys
    that only wait for something do not delay a repair. If a key is added several times, the most urgent one counts. A
    key that is added while a worker has it comes again once the worker is done with it.

    Deadlines are CLOCK_BOOTTIME seconds; of several for one key the earliest counts.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._ready: deque[K] = deque()
        self._later: deque[K] = deque()
        #: the queue that each waiting key stands in
        self._queued: dict[K, deque[K]] = {}
        self._taken: set[K] = set()
        #: keys to come again, and whether later
        self._again: dict[K, bool] = {}
        self._timed: list[tuple[float, int, K]] = []
        self._deadlines: dict[K, float] = {}
        self._count = itertools.count()
        self._closed = False

    def add(self, *keys: K, later: bool = False) -> None:
        with self._changed:
            for key in keys:
                self._add(key, later)

    def add_at(self, key: K, deadline: float) -> None:
        """Adds ``key`` when ``deadline`` has come."""
        with self._changed:
            if deadline < self._deadlines.get(key, float("inf")):
                self._deadlines[key] = deadline
                heapq.heappush(self._timed, (deadline, next(self._count), key))
                self._changed.notify()

    def take(self, timeout: float | None = None) -> K | None:
        """Takes the next key, which is the caller's until ``done``. None when closed, or after ``timeout`` seconds."""
        until = None if timeout is None else _now() + timeout
        with self._changed:
            while not self._closed:
                pause = self._promote()
                key = self._next()
                if key is not None:
                    self._taken.add(key)
                    return key
                left = None if until is None else until - _now()
                if left is not None and left <= 0:
                    return None
                self._changed.wait(min((each for each in (pause, left) if each is not None), default=None))
            return None

    def done(self, key: K) -> None:
        with self._changed:
            self._taken.discard(key)
            if key in self._again:
                self._add(key, self._again.pop(key))
            self._changed.notify_all()

    def wait_free(self, timeout: float) -> bool:
        """Waits until no key is taken, at most ``timeout`` seconds. Returns whether none is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._taken, timeout)

    def idle(self) -> bool:
        """Whether nothing is ready or being worked on (what waits for a deadline does not count)."""
        with self._changed:
            self._promote()
            return not (self._queued or self._taken or self._again)

    def pending(self) -> Iterable[K]:
        """The keys that wait for a deadline."""
        with self._changed:
            return tuple(self._deadlines)

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _add(self, key: K, later: bool = False) -> None:
        queue = self._later if later else self._ready
        if key in self._taken:
            self._again[key] = later and self._again.get(key, True)
        elif not any(self._queued.get(key) is each for each in (queue, self._ready)):
            # one that stood among the later ones is passed over there when its turn comes
            self._queued[key] = queue
            queue.append(key)
            self._changed.notify()

    def _next(self) -> K | None:
        for queue in (self._ready, self._later):
            while queue:
                key = queue.popleft()
                if self._queued.get(key) is queue:
                    del self._queued[key]
                    return key
        return None

    def _promote(self) -> float | None:
        """Moves what is due to the ready keys; returns the seconds until the next deadline, if there is one."""
        while self._timed:
            deadline, _, key = self._timed[0]
            if self._deadlines.get(key) != deadline:
                heapq.heappop(self._timed)
                continue
            if deadline > (now := _now()):
                return deadline - now
            heapq.heappop(self._timed)
            del self._deadlines[key]
            self._add(key)
        return None


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
