"""What is known of each file of a source, and since when: which are quiet, which are gone, what they hold."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping
from dataclasses import dataclass, field

from reconciler.control.sources.ledger import facts
from reconciler.control.sources.ledger.losses import Suspicion
from reconciler.model.keys import Key
from reconciler.model.view import Moment

#: files that get quiet within so many seconds of each other are read in one look
TOGETHER = 0.05
#: a writer that has a file open for longer than so many seconds is told of; ordinary ones are faster
SLOW = 2.0
#: clocks and timers differ by less than this, seconds
_SLACK = 0.001


@dataclass
class File:
    """``signature`` is the present one, unchanged since ``since`` (CLOCK_BOOTTIME); ``read`` the one whose content was
    taken last; ``age`` as in ``facts.Seen``. ``claims``: what the version in force names; None while unknown: then all
    that the file holds. ``gone_since``: when it was missed first. ``busy_since``: since when a program was seen to have
    it open for writing. ``suspicion``: why the present content, though good, is not taken yet. ``blocked``: its new
    version is refused, because others hold what ``lost`` names (and who); ``foreign``: owners
    of other sources do; ``waits``: files do that change just now."""

    signature: facts.Signature | None
    since: float
    read: facts.Signature | None = None
    age: tuple[int, int] = (0, 0)
    trouble: str = ""
    digest: str = ""
    problems: tuple[str, ...] = ()
    claims: frozenset[Key] | None = None
    lost: Mapping[Key, str] = field(default_factory=dict)
    empty: bool = False
    blocked: bool = False
    foreign: bool = False
    waits: bool = False
    suspicion: Suspicion = ""
    busy_since: float | None = None
    gone_since: float | None = None

    @property
    def unread(self) -> bool:
        return (
            self.gone_since is None and self.signature is not None and not self.trouble and self.signature != self.read
        )

    def quiet(self, now: Moment, span: float) -> bool:
        return now.mono - self.since >= span - _SLACK

    def slow(self, now: Moment) -> bool:
        """Whether its writer has had it open for longer than ordinary ones do."""
        return self.busy_since is not None and now.mono - self.busy_since >= SLOW - _SLACK

    def gone(self, now: Moment, span: float) -> bool:
        return self.gone_since is not None and now.mono - self.gone_since >= span - _SLACK


@dataclass
class Files:
    """All files by path, from one look to the next."""

    patience: facts.Patience
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
                file.signature, file.since, file.suspicion = seen.signature, self._began(seen, now), ""
            file.trouble, file.age, file.gone_since = seen.trouble, seen.age, None
        for path in self.by_path.keys() - scan.files.keys():
            self._miss(path, scan.unreadable, now)
        for path, why in scan.unreadable.items():
            self.by_path.setdefault(path, File(None, now.mono)).trouble = why
        self._looked_at = now.mono

    def _miss(self, path: str, unreadable: Mapping[str, str], now: Moment) -> None:
        """A file that was not found is gone, unless nobody can tell."""
        file = self.by_path[path]
        folder = enclosing(path, unreadable)
        file.trouble, file.busy_since = unreadable.get(folder, ""), None
        if folder:
            file.gone_since = None
        elif file.gone_since is None:
            file.gone_since = now.mono

    def _began(self, seen: facts.Seen, now: Moment) -> float:
        """Since when a new signature has held: the change happened after the last look, and ``changed_at`` says when.
        At the first look that time alone tells, so that a start need not wait for files that have long been there."""
        if seen.signature is None:
            return now.mono
        age = max(0.0, now.wall - seen.changed_at)
        return now.mono - (age if self._looked_at is None else min(age, now.mono - self._looked_at))

    def ready(self, now: Moment) -> list[str]:
        """Files to read now, by name."""
        return sorted(
            path for path, file in self.by_path.items() if file.unread and file.quiet(now, self._needed(file))
        )

    def more(self, now: Moment) -> bool:
        """Whether any is to be read at once. One that is being written is not: its end wakes the source."""
        return any(self.by_path[path].busy_since is None for path in self.ready(now))

    def unsettled(self) -> bool:
        """Whether any file's content is not known yet."""
        return any(file.unread for file in self.by_path.values())

    def deadlines(self, now: Moment, dropped: Collection[str]) -> list[float]:
        """When time alone will change something; ``dropped``: files that held what nothing names any more."""
        found = []
        for path, file in self.by_path.items():
            if file.gone_since is not None:
                found.append(file.gone_since + self.patience.gone)
            elif file.unread:
                found.append(file.since + self._needed(file))
                found += [file.busy_since + SLOW] if file.busy_since is not None else []
            elif path in dropped:
                found.append(file.since + self.patience.loss)
        return [deadline for deadline in found if deadline > now.mono + _SLACK]

    def _needed(self, file: File) -> float:
        """How long its content must have been unchanged before it is read."""
        return {"": self.patience.quiet, "loss": self.patience.loss, "cut": self.patience.cut}[file.suspicion]


def together(deadlines: Collection[float]) -> float | None:
    """When to look next: at the first deadline, or a little later with others that follow at once."""
    first = min(deadlines, default=None)
    return None if first is None else max(deadline for deadline in deadlines if deadline <= first + TOGETHER)


def enclosing(path: str, folders: Container[str]) -> str:
    """Which of ``folders`` is ``path`` or holds it; empty if none."""
    while path and path not in folders:
        path = path.rpartition("/")[0]
    return path
