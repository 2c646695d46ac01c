"""What is known of each file of a directory, and since when: which are quiet, which are gone, what they hold."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping
from dataclasses import dataclass, field

from reconciler.control.sources import facts
from reconciler.model.keys import Key
from reconciler.model.view import Moment

#: a file is read when its size and mtime have been the same for so long; a missing one is gone after so long
QUIET = 0.25
#: what a file that is still there no longer names is removed after so long
PRUNE_QUIET = 2.0
#: a file that is gone waits so long at most for others that may have taken over what it held
MOVE_GRACE = 2.0
#: files that get quiet within so long of each other are read in one look
TOGETHER = 0.05
#: clocks and timers differ by less than this
_SLACK = 0.001


@dataclass
class File:
    """``signature`` is the present one, unchanged since ``since`` (CLOCK_BOOTTIME); ``read`` the one whose content was
    looked at last. ``claims``: what the version in force names; None while unknown: then all that the file holds.
    ``gone_since``: when it was missed first."""

    signature: facts.Signature | None
    since: float
    read: facts.Signature | None = None
    trouble: str = ""
    digest: str = ""
    problems: tuple[str, ...] = ()
    claims: frozenset[Key] | None = None
    empty: bool = False
    blocked: bool = False
    gone_since: float | None = None

    @property
    def unread(self) -> bool:
        return (
            self.gone_since is None and self.signature is not None and not self.trouble and self.signature != self.read
        )

    def quiet(self, now: Moment, span: float) -> bool:
        return now.mono - self.since >= span - _SLACK

    def gone(self, now: Moment, span: float) -> bool:
        return self.gone_since is not None and now.mono - self.gone_since >= span - _SLACK


@dataclass
class Files:
    """All files by path, from one look to the next."""

    by_path: dict[str, File] = field(default_factory=dict)
    _looked_at: float | None = None

    def seed(self, paths: Iterable[str], now: Moment) -> None:
        """Files that were there before this process: whether they still are, the first look tells."""
        for path in paths:
            self.by_path.setdefault(path, File(None, now.mono))

    def see(self, scan: facts.Scan, now: Moment) -> None:
        """Takes in a scan whose root was there."""
        for path, seen in scan.files.items():
            file = self.by_path.setdefault(path, File(None, now.mono))
            if file.signature != seen.signature:
                file.signature, file.since = seen.signature, self._began(seen, now)
            file.trouble, file.gone_since = seen.trouble, None
        for path in self.by_path.keys() - scan.files.keys():
            self._miss(path, scan.unreadable, now)
        for path, why in scan.unreadable.items():
            self.by_path.setdefault(path, File(None, now.mono)).trouble = why
        self._looked_at = now.mono

    def _miss(self, path: str, unreadable: Mapping[str, str], now: Moment) -> None:
        """A file that was not found is gone, unless nobody can tell."""
        file = self.by_path[path]
        folder = enclosing(path, unreadable)
        file.trouble = unreadable.get(folder, "")
        if folder:
            file.gone_since = None
        elif file.gone_since is None:
            file.gone_since = now.mono

    def _began(self, seen: facts.Seen, now: Moment) -> float:
        """Since when a new signature has held: the change happened after the last look, and its ctime says when. At the
        first look the ctime alone tells, so that a start need not wait for files that have long been there."""
        if seen.signature is None:
            return now.mono
        age = max(0.0, now.wall - seen.signature.ctime_ns / 1e9)
        return now.mono - (age if self._looked_at is None else min(age, now.mono - self._looked_at))

    def ready(self, now: Moment) -> list[str]:
        """Files to read now, by name."""
        return sorted(path for path, file in self.by_path.items() if file.unread and file.quiet(now, QUIET))

    def unsettled(self) -> bool:
        """Whether any file's content is not known yet."""
        return any(file.unread for file in self.by_path.values())

    def deadlines(self, now: Moment, dropped: Collection[str]) -> list[float]:
        """When time alone will change something; ``dropped``: files that held what nothing names any more."""
        found = []
        for path, file in self.by_path.items():
            if file.gone_since is not None:
                found += [file.gone_since + QUIET, file.gone_since + MOVE_GRACE]
            elif file.unread:
                found.append(file.since + QUIET)
            elif path in dropped:
                found.append(file.since + PRUNE_QUIET)
        return [deadline for deadline in found if deadline > now.mono + _SLACK]


def together(deadlines: Collection[float]) -> float | None:
    """When to look next: at the first deadline, or a little later with others that follow at once."""
    first = min(deadlines, default=None)
    return None if first is None else max(deadline for deadline in deadlines if deadline <= first + TOGETHER)


def enclosing(path: str, folders: Container[str]) -> str:
    """Which of ``folders`` is ``path`` or holds it; empty if none."""
    while path and path not in folders:
        path = path.rpartition("/")[0]
    return path
