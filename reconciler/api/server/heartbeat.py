"""The sign of life that gunicorn's worker gives its arbiter, kept in memory."""

from __future__ import annotations

import os
import time
from typing import Any


class Heartbeat:
    """Stands for gunicorn's ``WorkerTmp``: the worker touches it, the arbiter looks at when."""

    def __init__(self, cfg: Any) -> None:
        self._fd = os.memfd_create("pydock-heartbeat", os.MFD_CLOEXEC)
        self.notify()

    def notify(self) -> None:
        now = time.monotonic()
        os.utime(self._fd, (now, now))

    def last_update(self) -> float:
        return os.fstat(self._fd).st_mtime

    def fileno(self) -> int:
        return self._fd

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
