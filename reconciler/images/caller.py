"""Whoever waits for long work of the image service: a job is one."""

from __future__ import annotations

import threading
from typing import Any, Protocol


class Caller(Protocol):
    """``stopping`` is set when the daemon ends."""

    stopping: threading.Event

    def emit(self, item: Any) -> None:
        """Takes one item of the work's progress."""

    def gone(self) -> bool:
        """Whether the caller has left."""
