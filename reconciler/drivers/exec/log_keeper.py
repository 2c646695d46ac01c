"""Keeps the logs of an instance's runs within their limits.

A log is watched until something is written to it. Then it is looked at again after a pause, which is short while the
file grows fast and up to half a second while it grows slowly; after a pause in which nothing was written it is watched
again. So an idle log costs nothing, a busy one two looks a second, and a flood is caught within some hundredths of one.
"""

from __future__ import annotations

import logging
import os
import select
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from reconciler.drivers import inotify
from reconciler.drivers.exec import base, log_files

log = logging.getLogger("pydock.logs")

_PAUSE_LEAST, _PAUSE_MOST = 0.02, 0.5
#: seconds until the first look after conmon was asked to change files
_ASKED = 0.01
#: seconds before conmon is asked once more for the same file: it may be stopped
_ASK_AGAIN = 5.0
#: seconds after which a look that failed is repeated (a full disk, for one)
_FAILED = 5.0
#: one event, after which the file is not watched any more; the names of a file change when conmon replaces it
_MASK = inotify.MODIFY | inotify.ATTRIB | inotify.ONE_SHOT


@dataclass
class _Kept:
    """One log. ``due`` is when it is looked at again (CLOCK_MONOTONIC seconds), None while it is watched."""

    path: str
    control: str
    guard: threading.Lock = field(default_factory=threading.Lock)
    due: float | None = 0.0
    pause: float = _PAUSE_LEAST
    file: tuple[int, int] = (0, 0)
    size: int = 0
    asked: tuple[int, int] = (0, 0)
    asked_at: float = 0.0
    failed: bool = False


class Keeper:
    """``add`` and ``drop`` may be called from any thread; ``run`` has one of its own."""

    def __init__(self, limits: base.LogLimits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}
        #: wakes ``run``; -1 while nobody runs
        self._wake = -1

    def begin(self, id: str, path: str, control: str) -> None:
        """A run of ``id`` is about to write to ``path``: its files are made ready, and a mark tells where it begins."""
        with self._lock:
            kept = self._kept.get(id)
        if kept is None or (kept.path, kept.control) != (path, control):
            kept = _Kept(path, control)
        with kept.guard:
            log_files.begin(path, self._limits, id)
        self._keep(id, kept)

    def add(self, runs: Iterable[tuple[str, str, str]]) -> None:
        """Runs that another daemon began: id, log and conmon's control FIFO of each."""
        for id, path, control in runs:
            self._keep(id, _Kept(path, control))

    def _keep(self, id: str, kept: _Kept) -> None:
        with self._lock:
            self._kept[id] = kept
            if self._wake >= 0:
                os.eventfd_write(self._wake, 1)

    def drop(self, id: str) -> None:
        with self._lock:
            self._kept.pop(id, None)

    def run(self, stop: base.LogStop) -> None:
        """Looks after the logs until ``stop`` becomes readable."""
        watch = inotify.Inotify()
        wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        with self._lock:
            self._wake = wake
            for kept in self._kept.values():
                kept.due = 0.0
        try:
            self._run(watch, wake, stop)
        finally:
            with self._lock:
                self._wake = -1
            os.close(wake)
            watch.close()

    def _run(self, watch: inotify.Inotify, wake: int, stop: base.LogStop) -> None:
        poller = select.poll()
        for each in (watch.fileno(), wake, stop.fileno()):
            poller.register(each, select.POLLIN)
        watched: set[str] = set()
        while True:
            heard = {fd for fd, _ in poller.poll(self._patience())}
            if stop.fileno() in heard:
                return
            if wake in heard:
                os.eventfd_read(wake)
            written = watch.read()
            for kept in self._all(watch, watched):
                self._turn(kept, watch, kept.path in written)

    def _all(self, watch: inotify.Inotify, watched: set[str]) -> list[_Kept]:
        with self._lock:
            present = list(self._kept.values())
        paths = {kept.path for kept in present}
        for gone in watched - paths:
            watch.remove(gone)
        watched.clear()
        watched.update(paths)
        return present

    def _patience(self) -> float | None:
        """Milliseconds until the next look; None when all logs are watched."""
        with self._lock:
            dues = [kept.due for kept in self._kept.values() if kept.due is not None]
        return max(0.0, (min(dues) - time.monotonic()) * 1000) if dues else None

    def _turn(self, kept: _Kept, watch: inotify.Inotify, written: bool) -> None:
        now = time.monotonic()
        due = kept.due is not None and kept.due <= now
        if not (due or (written and kept.due is None)):
            return
        try:
            with kept.guard:
                changed = self._look(kept, now)
            if changed or written:
                kept.due = now + kept.pause
            else:
                kept.due = None
                watch.add(kept.path, _MASK)
                if _state(kept.path) != (kept.file, kept.size):
                    # written between the look and the watch
                    kept.due = now + _PAUSE_LEAST
            kept.failed = False
        except OSError as error:
            self._tell(kept, error)
            kept.due = now + _FAILED

    def _look(self, kept: _Kept, now: float) -> bool:
        """Whether something was written since the last look."""
        file, size = _state(kept.path)
        if file != kept.file or size >= self._limits.max_size:
            status = log_files.tend(kept.path, self._limits)
            file, size = (status.st_dev, status.st_ino), status.st_size
        grown = size - (kept.size if file == kept.file else 0)
        changed = (file, size) != (kept.file, kept.size)
        kept.file, kept.size = file, size
        if size >= self._limits.max_size and self._waits_for_conmon(kept, now):
            return True
        if grown * 4 > self._limits.max_size - size:
            kept.pause = _PAUSE_LEAST
        else:
            kept.pause = min(kept.pause * 2, _PAUSE_MOST) if changed else _PAUSE_LEAST
        return changed

    def _waits_for_conmon(self, kept: _Kept, now: float) -> bool:
        """Whether conmon has been asked to change files, now or before; sets the pause until it is looked after."""
        if kept.asked == kept.file and now - kept.asked_at < _ASK_AGAIN:
            kept.pause = min(kept.pause * 2, _PAUSE_MOST)
            return True
        if not log_files.ask(kept.path, kept.control):
            return False
        kept.asked, kept.asked_at, kept.pause = kept.file, now, _ASKED
        return True

    def _tell(self, kept: _Kept, error: OSError) -> None:
        if not kept.failed and not isinstance(error, FileNotFoundError):
            log.warning("the log %s cannot be kept within its limits for now: %s", kept.path, error.strerror)
        kept.failed = True


def _state(path: str) -> tuple[tuple[int, int], int]:
    status = log_files.status(path)
    return ((status.st_dev, status.st_ino), status.st_size) if status is not None else ((0, 0), 0)
