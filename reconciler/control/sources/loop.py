"""The thread of a source: look, decide, write, wait."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from reconciler import errors, manifest
from reconciler.control.sources import apply, status
from reconciler.control.sources.base import Source
from reconciler.control.sources.ledger import facts
from reconciler.control.sources.ledger.ledger import Ledger
from reconciler.model.keys import Key
from reconciler.model.view import Moment
from reconciler.store.base import Store

log = logging.getLogger("pydock.source")

#: seconds between looks that nothing asked for
RESCAN = 30.0
#: seconds between looks while events keep coming
GAP = 0.05
#: seconds that stopping waits for the look under way
STOP = 5.0
#: seconds until another try when the store or the disk failed
RETRY = 1.0


class SourceLoop:
    """Keeps the desired state the way the manifests of ``source`` say. ``on_keys`` receives the changed objects once
    they are on disk; ``on_trouble`` is called when ``trouble`` changes; neither may block. ``load_once`` comes before
    ``start``."""

    def __init__(
        self,
        source: Source,
        store: Store,
        on_keys: Callable[[list[Key]], None],
        on_trouble: Callable[[], None] = lambda: None,
    ) -> None:
        self._source, self._store, self._on_trouble = source, store, on_trouble
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            self._boot_id = file.read().strip()
        self._applier = apply.Applier(source.name, store, on_keys)
        # Guards all below: the thread looks, requests ask for status and acknowledge.
        self._lock = threading.Lock()
        self._ledger: Ledger | None = None
        self._in_force: dict[Key, facts.Holding] = {}
        self._again_at: float | None = None
        self._told: dict[str, tuple[str, ...]] = {}
        self._trouble = ""
        # Objects of other owners that files wait for. Replaced as a whole, so that it is read without the lock.
        self._wanted: Mapping[Key, str] = {}
        self._forget: Callable[[], None] | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    # --- life

    def load_once(self) -> list[Key]:
        """Reads every file that has been quiet, before the first plan is made. Returns the keys that changed."""
        changed: list[Key] = []
        with self._lock:
            while True:
                changed += self._look(refresh=self._ledger is None)
                if self._again_at is None or self._again_at > self._now().mono:
                    return changed

    def start(self) -> None:
        """Watches from now on, in a thread of its own."""
        self._source.open()
        self._forget = self._store.on_change(self._store_changed)
        self._thread = threading.Thread(target=self._run, name=f"source {self._source.name}", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Asks the thread to end; ``stop`` waits for it."""
        self._stopping.set()
        self._source.wake()

    def stop(self, timeout: float = STOP) -> None:
        """Ends the thread after the look it is in. What the source holds stays as it is. A look that takes longer, on a
        file system that hangs, is left to itself: it writes nothing any more."""
        self.end()
        if self._forget is not None:
            self._forget()
        if self._thread is None:
            return
        self._thread.join(timeout)
        if self._thread.is_alive():
            log.warning("%s: a look still goes on after %.0f s: left to itself", self._source.name, timeout)
            return
        self._source.close()
        self._thread = None

    def rescan(self) -> None:
        """Forgets what was read and looks at every file again, soon."""
        with self._lock:
            self._ledger = None
        self._source.wake()

    # --- requests

    def status(self) -> dict[str, Any]:
        """What the job ``sources`` shows of it."""
        with self._lock:
            if self._ledger is None:
                return status.unread(self._source, self._in_force)
            shown = status.render(self._source, self._ledger, self._in_force, self._now())
        busy = [file["path"] for file in shown["files"] if file["state"] == status.WRITING]
        return status.name_writers(shown, self._source.writers(busy)) if busy else shown

    def trouble(self) -> str:
        """Why its place cannot be read; empty if it can."""
        return self._trouble

    def wanting(self, key: Key) -> str:
        """The file that names this object of another owner and is refused for that; empty if there is none."""
        return self._wanted.get(key, "")

    def ack(self, digest: str) -> list[str]:
        """Removes exactly the held set that ``digest`` names; returns its keys. Raises ``errors.Conflict`` if another
        is held by now."""
        with self._lock:
            self._look(refresh=True)
            ledger = self._present()
            decisions = ledger.acknowledge(digest, self._in_force)
            self._carry_out(decisions, self._now())
            log.info("%s: the removal of %d objects was acknowledged", self._source.name, len(decisions.removals))
            return [str(removal.key) for removal in decisions.removals]

    # --- the thread

    def _run(self) -> None:
        manifest.prepare()
        refreshed = time.monotonic()
        while not self._stopping.is_set():
            started = time.monotonic()
            timed = started - refreshed >= RESCAN
            refreshed = started if timed else refreshed
            self._source.drain()
            pause = self._look_safely(refresh=timed)
            ended = time.monotonic()
            if self._source.wait(min(pause, refreshed + RESCAN - ended)):
                # A burst of events is one look, or a few.
                self._stopping.wait(max(0.0, ended + max(GAP, ended - started) - time.monotonic()))

    def _look_safely(self, refresh: bool) -> float:
        """Seconds until the next look is due without any event."""
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
            self._ledger = None
        return RETRY

    def _look(self, refresh: bool) -> list[Key]:
        if refresh or self._ledger is None:
            self._refresh()
        ledger = self._present()
        scan = self._source.scan()
        now = self._now()
        with self._store.snapshot() as session:
            decisions = ledger.look(now, scan, self._in_force, self._source.read, session.objects.live)
        if self._stopping.is_set():
            return []
        self._again_at = decisions.again_at
        self._tell(ledger, now)
        return self._carry_out(decisions, now)

    def _carry_out(self, decisions: facts.Decisions, now: Moment) -> list[Key]:
        outcome = self._applier.apply(decisions, now.wall)
        for key in outcome.gone:
            self._in_force.pop(key, None)
        self._in_force.update(outcome.in_force)
        ledger = self._present()
        for path, owners in outcome.rejected.items():
            ledger.reject(path, owners)
        remarks = ledger.remarks(now, self._in_force)
        self._in_force.update(self._applier.remark(remarks, decisions.contested, now.wall))
        self._wanted = {**ledger.wanted, **{key: path for path, keys in outcome.rejected.items() for key in keys}}
        return outcome.changed

    def _refresh(self) -> None:
        """Reads from the store what is in force; makes the ledger if there is none."""
        with self._store.snapshot() as session:
            found = session.objects.find(source=self._source.name)
            self._in_force = {desired.key: apply.holding(desired) for desired in found if desired.deleting_at is None}
            if self._ledger is None:
                self._ledger = Ledger(
                    self._source.name,
                    msgspec.convert(session.sources.memory(self._source.name), facts.Memory),
                    session.sources.files(self._source.name),
                    self._source.patience,
                )

    def _present(self) -> Ledger:
        assert self._ledger is not None
        return self._ledger

    def _tell(self, ledger: Ledger, now: Moment) -> None:
        """Logs each problem once."""
        problems = {path: file.problems for path, file in ledger.files.by_path.items() if file.problems}
        problems |= {
            path: (f"{path} is still being written: a program has had it open for some time",)
            for path, file in ledger.files.by_path.items()
            if file.slow(now)
        }
        problems[""] = tuple(text for text in (ledger.trouble, ledger.memory.reason) if text)
        for path, texts in problems.items():
            if self._told.get(path, ()) != texts:
                for text in texts:
                    log.warning("%s: %s", self._source.name, text)
        self._told = problems
        if self._trouble != ledger.trouble:
            self._trouble = ledger.trouble
            self._on_trouble()

    def _store_changed(self, revision: int) -> None:
        """In the writer's thread: an object of another owner may have gone that a file of ours waits for. It takes no
        lock and looks into no file: the loop may be in the middle of a look."""
        if self._wanted:
            self._source.wake()

    def _now(self) -> Moment:
        return Moment(time.clock_gettime(time.CLOCK_BOOTTIME), time.time(), self._boot_id)
