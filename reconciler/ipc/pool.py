"""Threads that are there when needed: started on demand, kept a while, never more than a bound."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

Task = Callable[[], None]


class Pool:
    """Runs tasks in at most ``most`` daemon threads; an idle thread ends after ``linger`` seconds.

    Daemon threads, because a task may sit in a stream for hours and must not hold up the end of the process.
    """

    def __init__(self, most: int, name: str, linger: float = 30.0) -> None:
        self._most = most
        self._name = name
        self._linger = linger
        self._lock = threading.Lock()
        self._tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
        self._busy = 0
        self._threads = 0

    @property
    def busy(self) -> int:
        """Tasks that run or wait."""
        return self._busy

    def submit(self, task: Task, wait: bool = False) -> bool:
        """When every thread is busy, or the host has no room for the one that is needed: False, the task is not taken;
        or, with ``wait``, it is the next one's.

        A task must not raise.
        """
        with self._lock:
            if self._busy >= self._most and not wait:
                return False
            self._busy += 1
            start = self._threads < min(self._busy, self._most)
            self._threads += start
        if start and not self._start() and not (wait and self._threads):
            with self._lock:
                self._busy -= 1
            return False
        self._tasks.put(task)
        return True

    def _start(self) -> bool:
        """One thread more; False when the host has no room for it."""
        try:
            threading.Thread(target=self._work, name=self._name, daemon=True).start()
        except RuntimeError:
            with self._lock:
                self._threads -= 1
            return False
        return True

    def _work(self) -> None:
        while True:
            try:
                task = self._tasks.get(timeout=self._linger)
            except queue.Empty:
                if self._retire():
                    return
                continue
            try:
                task()
            finally:
                with self._lock:
                    self._busy -= 1

    def _retire(self) -> bool:
        """Ends this thread unless a task was promised to it meanwhile."""
        with self._lock:
            if self._threads <= self._busy:
                return False
            self._threads -= 1
            return True
