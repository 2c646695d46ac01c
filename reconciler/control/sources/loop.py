"""The thread of a watched directory: look, decide, write, wait."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from reconciler import errors, manifest
from reconciler.control.sources import apply, facts, status, watch
from reconciler.control.sources.directory import Directory
from reconciler.control.sources.scan import Scanner
from reconciler.model.keys import Key
from reconciler.model.objects import BUILTIN, Owner
from reconciler.model.view import Moment
from reconciler.store.base import Store

log = logging.getLogger("pydock.source")

#: seconds between looks that nothing asked for
RESCAN = 30.0
#: seconds between looks while events keep coming
GAP = 0.05
#: seconds until another try when the store or the disk failed
RETRY = 1.0


class DirectorySource:
    """A directory of manifests. Its name, which owns objects, is ``dir:`` and the path."""

    def __init__(self, path: str | Path) -> None:
        self.path = os.path.abspath(path)
        self.name = f"dir:{self.path}"


class DirectoryLoop:
    """Keeps what is desired the way the files of ``source`` say. ``on_keys`` hears of changed objects after they are on
    disk; it must not block. ``load_once`` comes before ``start``."""

    def __init__(self, source: DirectorySource, store: Store, on_keys: Callable[[list[Key]], None]) -> None:
        self._source, self._store = source, store
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            self._boot_id = file.read().strip()
        self._scanner = Scanner(source.path, self._boot_id)
        self._applier = apply.Applier(source.name, store, on_keys)
        # Guards all below: the thread looks, requests ask for status and acknowledge.
        self._lock = threading.Lock()
        self._directory: Directory | None = None
        self._in_force: dict[Key, facts.Holding] = {}
        self._again_at: float | None = None
        self._told: dict[str, tuple[str, ...]] = {}
        self._watch: watch.Watch | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    # --- life

    def load_once(self) -> list[Key]:
        """Reads all that has been quiet, before the first plan is made. Returns the keys that changed."""
        changed: list[Key] = []
        with self._lock:
            while True:
                changed += self._look(refresh=self._directory is None)
                if self._again_at is None or self._again_at > self._now().mono:
                    return changed

    def start(self) -> None:
        """Watches from now on, in a thread of its own."""
        self._watch = watch.Watch()
        self._store.on_change(self._store_changed)
        self._thread = threading.Thread(target=self._run, name="source", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread after the look it is in."""
        self._stopping.set()
        if self._watch is not None and self._thread is not None:
            self._watch.wake()
            self._thread.join()
            self._watch.close()
            self._watch = None

    def rescan(self) -> None:
        """Forgets what was read and looks at every file again, soon."""
        with self._lock:
            self._directory = None
        if self._watch is not None:
            self._watch.wake()

    # --- requests

    def status(self) -> list[dict[str, Any]]:
        """One item, as the job ``sources`` shows it."""
        with self._lock:
            return [status.render(self._source.name, self._source.path, self._directory, self._in_force)]

    def ack(self, name: str, digest: str) -> list[str]:
        """Removes exactly the held set that ``digest`` names; returns its keys. Raises ``errors.Conflict`` if another
        is held by now, ``errors.NotFound`` for another source's name."""
        if name != self._source.name:
            raise errors.NotFound(f"no source named {name!r}")
        with self._lock:
            self._look(refresh=True)
            directory = self._present()
            decisions = directory.acknowledge(digest, self._in_force)
            self._carry_out(decisions, self._now())
            log.info("%s: the removal of %d objects was acknowledged", name, len(decisions.removals))
            return [str(removal.key) for removal in decisions.removals]

    # --- the thread

    def _run(self) -> None:
        assert self._watch is not None
        manifest.prepare()
        refreshed = time.monotonic()
        while not self._stopping.is_set():
            started = time.monotonic()
            timed = started - refreshed >= RESCAN
            refreshed = started if timed else refreshed
            self._watch.drain()
            pause = self._look_safely(refresh=timed)
            ended = time.monotonic()
            if self._watch.wait(min(pause, refreshed + RESCAN - ended)):
                # A burst of events is one look, or a few.
                self._stopping.wait(max(0.0, ended + max(GAP, ended - started) - time.monotonic()))

    def _look_safely(self, refresh: bool) -> float:
        """Seconds until time alone asks for a look."""
        try:
            with self._lock:
                self._look(refresh)
                again_at = self._again_at
            return RESCAN if again_at is None else again_at - self._now().mono
        except errors.PydockError as error:
            log.warning("%s: %s", self._source.name, error.message)
        except Exception:
            log.exception("%s: internal error", self._source.name)
        with self._lock:
            self._directory = None
        return RETRY

    def _look(self, refresh: bool) -> list[Key]:
        if refresh or self._directory is None:
            self._refresh()
        directory = self._present()
        scan = self._scan()
        now = self._now()
        with self._store.snapshot() as session:
            mine = (self._source.name, BUILTIN)

            def foreign(key: Key) -> Owner | None:
                live = session.objects.live(key)
                return live.owner if live is not None and live.owner.source not in mine else None

            decisions = directory.look(now, scan, self._in_force, self._scanner.read, foreign)
        self._again_at = decisions.again_at
        self._tell(directory)
        return self._carry_out(decisions, now)

    def _scan(self) -> facts.Scan:
        scan = self._scanner.scan()
        if self._watch is not None:
            self._watch.follow(self._places(scan))
        return scan

    def _places(self, scan: facts.Scan) -> list[str]:
        """Where to listen: in the directory; also beside it when it is a link, and where it will appear when it is
        missing."""
        path = self._source.path
        if scan.root is not None and not os.path.islink(path):
            return list(scan.folders)
        above = os.path.dirname(path)
        while not os.path.isdir(above):
            above = os.path.dirname(above)
        return [*scan.folders, above]

    def _carry_out(self, decisions: facts.Decisions, now: Moment) -> list[Key]:
        outcome = self._applier.apply(decisions, now.wall)
        for key in outcome.gone:
            self._in_force.pop(key, None)
        self._in_force.update(outcome.in_force)
        for path, owners in outcome.rejected.items():
            self._present().reject(path, owners)
        return outcome.changed

    def _refresh(self) -> None:
        """What is in force, from the store; and a new start if there was none."""
        with self._store.snapshot() as session:
            found = session.objects.find(source=self._source.name)
            self._in_force = {desired.key: apply.holding(desired) for desired in found if desired.deleting_at is None}
            if self._directory is None:
                memory = session.sources.memory(self._source.name)
                self._directory = Directory(
                    msgspec.convert(memory, facts.Memory), session.sources.files(self._source.name)
                )

    def _present(self) -> Directory:
        assert self._directory is not None
        return self._directory

    def _tell(self, directory: Directory) -> None:
        """Says once what is wrong."""
        problems = {path: file.problems for path, file in directory.files.by_path.items() if file.problems}
        problems[""] = tuple(text for text in (directory.trouble, directory.memory.reason) if text)
        for path, texts in problems.items():
            if self._told.get(path, ()) != texts:
                for text in texts:
                    log.warning("%s: %s", self._source.name, text)
        self._told = problems

    def _store_changed(self, revision: int) -> None:
        """In the writer's thread: somebody else's object may have gone that a file of ours waits for."""
        directory, waiting = self._directory, self._watch
        if directory is not None and waiting is not None and directory.waits_for_others:
            waiting.wake()

    def _now(self) -> Moment:
        return Moment(time.clock_gettime(time.CLOCK_BOOTTIME), time.time(), self._boot_id)
