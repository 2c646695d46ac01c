"""Waits until something happens in some directories, until a deadline, or until another thread says so.

watchfiles listens in a thread of its own. Any event means *look again*; its content is ignored. watchfiles is given the
directories one by one, because a recursive watch would follow links out of the tree. It polls its list of events every
``STEP_MS`` and reports once the list has stayed the same, so an event arrives after one to two steps. When listening
fails (too many watches, a directory that vanished meanwhile), it is tried again, in the end as rarely as the loop's own
timer. A file name that is not valid text ends the listening as well; it then starts again at once.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterable

log = logging.getLogger("pydock.source")

#: milliseconds between polls: costs 0.05 % of a core; half of it would cost twice as much and save 0.1 s
STEP_MS = 100
#: seconds until the next try after listening failed; doubled each time, up to the second figure
RETRY, RETRY_MOST = 1.0, 30.0
#: seconds that closing waits for a listener, which ends at its next step
_LAST = 2.0

_Folders = dict[str, tuple[int, int]]


class Watch:
    """One thread looks, waits and chooses the directories; any thread may wake it."""

    def __init__(self) -> None:
        self._happened = threading.Event()
        self._folders: _Folders = {}
        self._listener: _Listener | None = None
        self._ending: list[_Listener] = []
        self._failures = 0

    def follow(self, folders: Iterable[str]) -> None:
        """Listens in exactly these directories from now on. Nothing is missed in between: once listening has begun,
        ``wait`` returns, so that the caller looks again."""
        wanted = {path: identity for path in folders if (identity := _identity(path)) is not None}
        if wanted == self._folders and self._listener is not None and not self._listener.failed:
            self._failures = 0
            return
        self._failures = self._failures + 1 if self._listener is not None and self._listener.failed else 0
        self._retire()
        self._folders = wanted
        pause = min(RETRY * 2**self._failures, RETRY_MOST)
        self._listener = _Listener(sorted(wanted), self._happened.set, pause)

    def wait(self, seconds: float) -> bool:
        """Until an event or ``wake`` (True), or for so many seconds (False)."""
        return self._happened.wait(max(0.0, seconds))

    def drain(self) -> None:
        """Forgets everything that happened until now."""
        self._happened.clear()

    def wake(self) -> None:
        self._happened.set()

    def close(self) -> None:
        """Ends all threads."""
        self._retire()
        for listener in self._ending:
            listener.join(_LAST)

    def _retire(self) -> None:
        self._ending = [listener for listener in self._ending if listener.is_alive()]
        if self._listener is not None:
            self._listener.stop()
            self._ending.append(self._listener)
            self._listener = None


class _Listener(threading.Thread):
    """Calls ``heard`` when listening has begun, on every event, and, if listening fails, ``pause`` seconds after that.

    The object is also watchfiles' stop event: watchfiles calls ``is_set`` at each step, the first time after all
    watches are set.
    """

    def __init__(self, folders: list[str], heard: Callable[[], None], pause: float) -> None:
        super().__init__(name="source-watch", daemon=True)
        self.failed = False
        self._folders, self._heard, self._pause = folders, heard, pause
        self._stopped = threading.Event()
        self._began = False
        self.start()

    def is_set(self) -> bool:
        if not self._began:
            self._began = True
            self._heard()
        return self._stopped.is_set()

    def stop(self) -> None:
        self._stopped.set()

    def run(self) -> None:
        import watchfiles

        try:
            changes = watchfiles.watch(
                *self._folders, recursive=False, watch_filter=None, step=STEP_MS, debounce=STEP_MS, rust_timeout=0,
                stop_event=self, raise_interrupt=False, debug=False, force_polling=False, ignore_permission_denied=True,
            )  # fmt: skip
            with contextlib.closing(changes):
                for _ in changes:
                    self._heard()
        except Exception as error:  # noqa: BLE001  the backend's own class of errors is not public
            level = logging.DEBUG if self._began else logging.WARNING
            log.log(level, "cannot listen for changes in %s: %s", ", ".join(self._folders[:3]), error)
            self._stopped.wait(0 if self._began else self._pause)
            self.failed = True
            self._heard()


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
