"""A watched directory of manifests: ``base.Source``."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection, Mapping

from reconciler import errors
from reconciler.control.sources.directory import watch, writers
from reconciler.control.sources.directory.scan import Scanner
from reconciler.control.sources.ledger import facts

#: seconds between looks at files that are being written (their closing is not heard of), doubled each time, up to the
#: second figure
BUSY, BUSY_MOST = 0.1, 1.0


class DirectorySource:
    """The directory ``path``. A link to a directory is followed, and one that does not exist may come later."""

    def __init__(self, path: str) -> None:
        if not os.path.isabs(path):
            raise errors.Invalid(
                f"source 'dir:{path}': found a relative path: give the whole path, such as dir:/{path}"
            )
        self.place = os.path.normpath(path)
        self.name = f"dir:{self.place}"
        self.patience = facts.Patience()
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            self._scanner = Scanner(self.place, file.read().strip())
        self._watch: watch.Watch | None = None
        #: files to look at until nobody has them open for writing; changed by the loop and by whoever waits
        self._busy: frozenset[str] = frozenset()
        self._guard = threading.Lock()

    def scan(self) -> facts.Scan:
        scan = self._scanner.scan()
        with self._guard:
            self._busy = self._busy.intersection(scan.files)
        if self._watch is not None:
            self._watch.follow(self._places(scan))
        return scan

    def read(self, path: str, expected: facts.Signature) -> facts.Content:
        content = self._scanner.read(path, expected)
        with self._guard:
            self._busy = self._busy.union([path]) if content.busy else self._busy.difference([path])
        return content

    def writers(self, paths: Collection[str]) -> Mapping[str, str]:
        known = {path: identity for path in paths if (identity := self._scanner.identity(path)) is not None}
        names = {identity: os.path.basename(path) for path, identity in known.items()}
        found = writers.find(names) if names else {}
        return {path: found[identity] for path, identity in known.items() if identity in found}

    def open(self) -> None:
        self._watch = watch.Watch()

    def drain(self) -> None:
        self._listening().drain()

    def wait(self, seconds: float) -> bool:
        """Beside events, the end of writing to a file that was ``busy`` ends it."""
        deadline, pause = time.monotonic() + seconds, BUSY
        while self._busy:
            if self._listening().wait(min(pause, deadline - time.monotonic())):
                return True
            if self._any_finished():
                return True
            if time.monotonic() >= deadline:
                return False
            pause = min(2 * pause, BUSY_MOST)
        return self._listening().wait(deadline - time.monotonic())

    def _any_finished(self) -> bool:
        finished = [path for path in self._busy if not self._scanner.is_busy(path)]
        with self._guard:
            self._busy = self._busy.difference(finished)
        return bool(finished)

    def wake(self) -> None:
        watching = self._watch
        if watching is not None:
            watching.wake()

    def close(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _listening(self) -> watch.Watch:
        assert self._watch is not None
        return self._watch

    def _places(self, scan: facts.Scan) -> list[str]:
        """Where to listen: in the directory; also beside it when it is a link, and where it will appear when it is
        missing."""
        if scan.root is not None and not os.path.islink(self.place):
            return list(scan.folders)
        above = os.path.dirname(self.place)
        while not os.path.isdir(above):
            above = os.path.dirname(above)
        return [*scan.folders, above]
