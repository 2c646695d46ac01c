"""Giving up what takes long: because the daemon ends, or because another part of the same work has failed."""

from __future__ import annotations

import threading
import time


class Stopped(Exception):
    """another part of the work failed, or the daemon ends"""


class Stop:
    """Set when a part of the work has failed, or the daemon ends."""

    def __init__(self, stopping: threading.Event) -> None:
        self._own, self._stopping = threading.Event(), stopping

    def set(self) -> None:
        self._own.set()

    def is_set(self) -> bool:
        return self._own.is_set() or self._stopping.is_set()

    def wait(self, seconds: float) -> bool:
        """Whether it is set within so many seconds."""
        deadline = time.monotonic() + seconds
        while not self.is_set() and (left := deadline - time.monotonic()) > 0:
            self._own.wait(min(left, 0.25))
        return self.is_set()
