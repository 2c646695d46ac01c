"""Slow work that needs no event: the timed resync, and keeping tables and images bounded."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable

from reconciler import errors
from reconciler.control import memory, orphans
from reconciler.control.reconcile import Reconciler
from reconciler.engine.engine import Engine
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.images import garbage
from reconciler.repeated import repeated
from reconciler.settings import Settings

log = logging.getLogger("pydock.housekeeping")

#: seconds between trims of the tables that grow
_TRIM_EVERY = 60.0
#: seconds before the logs are taken care of again after an error
_KEEP_LOGS_AGAIN = 5.0


class _Stop:
    """Tells ``keep_logs`` to end."""

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_CLOEXEC)

    def fileno(self) -> int:
        return self._fd

    def set(self) -> None:
        os.eventfd_write(self._fd, 1)


class Housekeeping:
    """Threads that wake for the resync, for trimming, and for images that are due to go; and one that keeps the logs of
    containers within their limits."""

    def __init__(self, settings: Settings, parts: Parts, engine: Engine, reconciler: Reconciler) -> None:
        self._settings, self._parts, self._engine, self._reconciler = settings, parts, engine, reconciler
        self._stop = threading.Event()
        self._stop_logs = _Stop()
        self._threads = [
            threading.Thread(target=self._every, args=(settings.resync, self.resync), name="resync", daemon=True),
            threading.Thread(target=self._every, args=(_TRIM_EVERY, self.trim), name="trim", daemon=True),
            threading.Thread(target=self._every, args=(settings.resync, self.collect), name="collect", daemon=True),
            threading.Thread(target=self._keep_logs, name="logs", daemon=True),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._stop.set()
        self._stop_logs.set()

    def wait_ended(self, deadline: float) -> None:
        """Waits until ``deadline`` (CLOCK_MONOTONIC seconds) for the work under way."""
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))

    def resync(self) -> None:
        """A close look at everything, as if an event had been missed."""
        with self._parts.store.snapshot() as session:
            keys = [desired.key for desired in session.objects.find()]
        self._reconciler.look(keys, closely=True, later=True)
        orphans.sweep(self._parts)

    def collect(self) -> None:
        """Notes which images are used, and has a job remove those that are due; see ``images.garbage``."""
        garbage.mark(self._parts.images)
        due = garbage.plan(self._parts.images)
        if not due.empty:
            cause = "the disk is over its high mark" if due.over else "images have not been used for long"
            self._engine.run(Job("collect", cause=cause))
        garbage.warn(self._parts.images, due)

    def trim(self) -> None:
        with self._parts.store.transaction(durable=False) as session:
            session.changes.compact(self._settings.keep_changes)
            session.journal.trim(self._settings.keep_jobs)
            session.events.trim(self._settings.keep_events)
        self._parts.store.checkpoint()
        memory.give_back()

    def _keep_logs(self) -> None:
        while not self._stop.is_set():
            try:
                self._parts.exec.keep_logs(self._stop_logs)
            except Exception as error:  # noqa: BLE001 - told with its traceback; the loop goes on
                # a log that nobody keeps grows until the disk is full
                repeated.internal(log, "internal error while keeping logs", error)
                self._stop.wait(_KEEP_LOGS_AGAIN)

    def _every(self, seconds: float, work: Callable[[], None]) -> None:
        while not self._stop.wait(seconds):
            try:
                work()
            except errors.PydockError as error:
                repeated.warn(log, error.message)
            except Exception as error:  # noqa: BLE001 - told with its traceback; the loop goes on
                repeated.internal(log, "internal error", error)
