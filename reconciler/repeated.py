"""Log lines of what may go in circles: a full disk, a host that refuses. Equal ones are told once in a while."""

from __future__ import annotations

import logging
import threading
import time

#: seconds between two equal lines
PAUSE = 60.0
#: lines that are remembered; when there are more, those that may be told again anyway are forgotten, and then all
_MOST = 1000


class Repeated:
    """Tells an equal line at once, and then every ``PAUSE`` seconds with how often it came in between. Only the first
    has a traceback."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: dict[tuple[str, str], tuple[float, int]] = {}

    def warn(self, log: logging.Logger, text: str) -> None:
        self._tell(log, logging.WARNING, text, trace=False)

    def internal(self, log: logging.Logger, text: str, error: Exception) -> None:
        """An error that nobody foresaw, from within its ``except``."""
        self._tell(log, logging.ERROR, f"{text}: {error!r}", trace=True)

    def _tell(self, log: logging.Logger, level: int, text: str, trace: bool) -> None:
        now = time.monotonic()
        with self._lock:
            since, missed = self._told.get((log.name, text), (None, 0))
            if since is not None and now - since < PAUSE:
                self._told[log.name, text] = since, missed + 1
                return
            self._make_room(now)
            self._told[log.name, text] = now, 0
        tail = f" ({missed} more times in the last {now - since:.0f} s)" if since is not None and missed else ""
        log.log(level, "%s%s", text, tail, exc_info=trace and since is None)

    def _make_room(self, now: float) -> None:
        if len(self._told) >= _MOST:
            fresh = {line: told for line, told in self._told.items() if now - told[0] < PAUSE}
            self._told = fresh if len(fresh) < _MOST else {}


#: what the daemon's loops share
repeated = Repeated()
