"""Starts and stops sources by name, at run time too.

The daemon's own directory is started first. Other sources come and go, each with a thread of its own. What a stopped
source held stays in force: only a source that is followed, and that sees a manifest disappear, removes anything. A
source that is started again continues from what the store remembers.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from reconciler import errors
from reconciler.control.sources import status, table
from reconciler.control.sources.base import Source
from reconciler.control.sources.loop import STOP, SourceLoop
from reconciler.model.keys import Key
from reconciler.store.base import Store


class Manager:
    """The sources of a daemon. ``on_keys`` receives objects that changed, once they are on disk. ``on_trouble``
    receives a sentence about places that cannot be read, each time that it changes (empty: all can). Neither may block.
    ``make`` returns the source of a name."""

    def __init__(
        self,
        store: Store,
        on_keys: Callable[[list[Key]], None],
        on_trouble: Callable[[str], None] = lambda text: None,
        make: Callable[[str], Source] = table.make,
    ) -> None:
        self._store, self._on_keys, self._on_trouble, self._make = store, on_keys, on_trouble, make
        # Guards all below; requests and the daemon's own thread come at once.
        self._guard = threading.RLock()
        self._loops: dict[str, SourceLoop] = {}
        self._stopped: dict[str, Source] = {}
        self._running = False

    # --- by name

    def start(self, name: str) -> str:
        """Follows a source: its manifests that are quiet are in force when this returns, if the daemon runs already.
        Returns the name in its one form. One that is followed already is left as it is. Raises ``errors.Invalid``."""
        with self._guard:
            source = self._make(name)
            if source.name not in self._loops:
                loop = SourceLoop(source, self._store, self._on_keys, self._trouble_changed)
                if self._running:
                    loop.load_once()
                    loop.start()
                self._loops[source.name] = loop
                self._stopped.pop(source.name, None)
            return source.name

    def stop(self, name: str) -> None:
        """Follows a source no longer; its objects stay as they are. Raises ``errors.NotFound``."""
        with self._guard:
            source = self._make(name)
            self._loop(source.name).stop()
            del self._loops[source.name]
            self._stopped[source.name] = source

    # --- all of them, as the daemon's life asks for it

    def load_all(self) -> None:
        """Reads all that has been quiet, before the first plan is made."""
        for loop in self._all():
            loop.load_once()

    def start_all(self) -> None:
        """Follows every source from now on, and those that are started later at once."""
        with self._guard:
            self._running = True
            for loop in self._loops.values():
                loop.start()

    def stop_all(self) -> None:
        """Ends all threads, within ``STOP`` seconds together."""
        with self._guard:
            self._running = False
            deadline = time.monotonic() + STOP
            for loop in self._loops.values():
                loop.end()
            for loop in self._loops.values():
                loop.stop(max(0.0, deadline - time.monotonic()))

    def rescan_all(self) -> None:
        """Looks at every file of every source again, soon."""
        for loop in self._all():
            loop.rescan()

    # --- requests

    def status(self) -> list[dict[str, Any]]:
        """One item for each source, as the job ``sources`` shows it: those that are followed, then those that were."""
        with self._guard:
            stopped = sorted(self._stopped.items())
        shown = [loop.status() for loop in self._all()]
        with self._store.snapshot() as session:
            counts = {name: len(session.objects.find(source=name)) for name, _ in stopped}
        return shown + [status.stopped(source, counts[name]) for name, source in stopped if counts[name]]

    def ack(self, name: str, digest: str) -> list[str]:
        """Removes exactly the held set that ``digest`` names; returns its keys. Raises ``errors.Conflict`` if another
        is held by now, ``errors.NotFound`` if no such source is followed."""
        return self._loop(name).ack(digest)

    def wanting(self, key: Key) -> str:
        """The file, with its source, that names this object of another owner and is refused for that; empty if there is
        none. Takes no lock of a source, so that it may be asked within a transaction."""
        found = ((name, loop.wanting(key)) for name, loop in list(self._loops.items()))
        return next((f"{name}/{path}" for name, path in found if path), "")

    def _trouble_changed(self) -> None:
        self._on_trouble("; ".join(trouble for loop in self._all() if (trouble := loop.trouble())))

    def _all(self) -> list[SourceLoop]:
        """Without the lock: a source's thread asks for it too, while ``stop`` waits for that thread."""
        return list(self._loops.values())

    def _loop(self, name: str) -> SourceLoop:
        loop = self._loops.get(name)
        if loop is None:
            raise errors.NotFound(f"no source named {name!r} is followed: see 'pydock source ls'")
        return loop
