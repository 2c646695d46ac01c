"""What one act of planning knows: the view, the moment, and the outcomes so far."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import NamedTuple, TypeVar

from reconciler.model import references
from reconciler.model.keys import Key
from reconciler.model.plan import Plan, Step, Wait
from reconciler.model.tasks import Task
from reconciler.model.view import Entry, ImageFacts, Moment, View

T = TypeVar("T")


class Outcome(NamedTuple):
    """What planning one object gave. ``steps`` may hold one that others share, such as a pull."""

    steps: tuple[Step, ...] = ()
    waits: tuple[Wait, ...] = ()
    warnings: tuple[str, ...] = ()

    def find(self, *tasks: type[Task]) -> Step | None:
        """The first step with such a task."""
        return next((step for step in self.steps if isinstance(step.task, tasks)), None)


NOTHING = Outcome()


class Context:
    """``outcomes`` are by uid. ``cycles`` maps each member of a dependency cycle to the cycle's path."""

    def __init__(self, view: View, now: Moment) -> None:
        self.view, self.now = view, now
        self.outcomes: dict[str, Outcome] = {}
        self.cycles: dict[Key, tuple[Key, ...]] = {}
        self._references: dict[str, str] = {}
        self._memo: dict[Hashable, object] = {}

    def outcome(self, entry: Entry) -> Outcome:
        return self.outcomes.get(entry.desired.uid, NOTHING)

    def plan(self) -> Plan:
        """All outcomes in the order in which they were found, each shared step once."""
        steps = {step.id: step for outcome in reversed(self.outcomes.values()) for step in outcome.steps}
        ordered = dict.fromkeys(step.id for outcome in self.outcomes.values() for step in outcome.steps)
        return Plan(
            steps=tuple(steps[id] for id in ordered),
            waits=tuple(wait for outcome in self.outcomes.values() for wait in outcome.waits),
            warnings=tuple(dict.fromkeys(text for outcome in self.outcomes.values() for text in outcome.warnings)),
        )

    def once(self, key: Hashable, find: Callable[[], T]) -> T:
        """What ``find`` gives, looked up once in this act of planning. The view does not change meanwhile."""
        if key not in self._memo:
            self._memo[key] = find()
        return self._memo[key]  # type: ignore[return-value]

    def reference(self, text: str) -> str:
        """An image's reference in its normalised form, looked up once."""
        found = self._references.get(text)
        if found is None:
            found = self._references[text] = references.normalised(text)
        return found

    def image(self, text: str) -> ImageFacts | None:
        return self.view.images.get(self.reference(text))

    def live(self, kind: str) -> list[Entry]:
        """All live objects of a kind in the view, by key."""
        return self.once(("live", kind), lambda: self._sorted(self.view.live.values(), kind))

    def terminating(self, kind: str) -> list[Entry]:
        """All that are being deleted, by key."""
        return self.once(("terminating", kind), lambda: self._sorted(self._leaving(), kind))

    def _leaving(self) -> Iterator[Entry]:
        return (entry for entries in self.view.terminating.values() for entry in entries)

    @staticmethod
    def _sorted(entries: Iterable[Entry], kind: str) -> list[Entry]:
        found = [entry for entry in entries if entry.desired.key.kind == kind]
        found.sort(key=lambda entry: (entry.desired.key, entry.desired.uid))
        return found
