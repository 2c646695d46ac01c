"""Building the steps of one object: names, order, preconditions, and what a recent failure holds back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from reconciler.kinds.base import retry
from reconciler.kinds.base.context import Context, Outcome
from reconciler.model.keys import Key
from reconciler.model.objects import Desired
from reconciler.model.plan import FieldChange, Step, Wait
from reconciler.model.tasks import Task
from reconciler.model.view import Entry, View


class Sequence:
    """The steps of one object, each after the one before it."""

    def __init__(self, context: Context, entry: Entry) -> None:
        self._context, self._entry = context, entry
        self._steps: list[Step] = []
        self._waits: list[Wait] = []
        self._warnings: list[str] = []

    def add(
        self,
        task: Task,
        cause: str,
        *,
        after: Iterable[str] = (),
        diff: tuple[FieldChange, ...] = (),
        relies: dict[str, Any] | None = None,
        restarts: bool = False,
        loses_data: bool = False,
        about: Key | None = None,
    ) -> None:
        """``after`` are steps of other objects; ``relies`` adds to the precondition; ``about`` is another object that
        the step concerns, which gives the step its name."""
        desired = self._entry.desired
        previous = (self._steps[-1].id,) if self._steps else ()
        id = f"{task.action} {about}" if about else step_id(self._context.view, self._entry, task.action)
        step = Step(
            id=id, task=task, desired=desired, cause=cause, after=tuple(dict.fromkeys((*previous, *after))), diff=diff,
            precondition={**wish(desired), **(relies or {})}, restarts=restarts, loses_data=loses_data,
        )  # fmt: skip
        self._steps.append(step)

    def share(self, id: str, task: Task, owner: Desired, cause: str) -> None:
        """Adds a step of ``owner`` that other objects wait for too."""
        self._steps.append(Step(id=id, task=task, desired=owner, cause=cause))

    def again(self, reason: str, message: str, until: float) -> None:
        """Asks for another look at that time. The object lacks nothing meanwhile."""
        self._waits.append(msgspec.structs.replace(wait(self._entry, reason, message, (), until), quiet=True))

    def again_after_failure(self, action: str) -> bool:
        """Whether ``action`` failed a moment ago, and is left until it may be tried again."""
        held = retry.held_back(self._entry, action, self._context.now)
        if held and self._entry.observed is not None:
            self.again("Error", self._entry.observed.error, self._entry.observed.retry_mono)
        return held

    def wait(self, reason: str, message: str, on: tuple[Key, ...] = (), until: float = 0.0) -> None:
        self._waits.append(wait(self._entry, reason, message, on, until))

    def waits(self, waits: Iterable[Wait]) -> None:
        self._waits += waits

    def warn(self, sentence: str) -> None:
        self._warnings.append(sentence)

    def outcome(self) -> Outcome:
        """What was gathered, without the step that failed a moment ago and those that follow it."""
        entry, now = self._entry, self._context.now
        for index, step in enumerate(self._steps):
            if entry.observed is not None and retry.held_back(entry, step.action, now):
                failed = wait(entry, "Error", entry.observed.error, until=entry.observed.retry_mono)
                failed = msgspec.structs.replace(failed, harmless=step.task.harmless)
                return Outcome(tuple(self._steps[:index]), (failed, *self._waits), tuple(self._warnings))
        return Outcome(tuple(self._steps), tuple(self._waits), tuple(self._warnings))


def wait(entry: Entry, reason: str, message: str, on: tuple[Key, ...] = (), until: float = 0.0) -> Wait:
    return Wait(key=entry.desired.key, reason=reason, message=message, on=on, until_mono=until, uid=entry.desired.uid)


def step_id(view: View, entry: Entry, action: str) -> str:
    """``ACTION KEY``, with the uid where a terminating object shares its key with another."""
    key = entry.desired.key
    if entry.desired.deleting_at is not None and (key in view.live or len(view.terminating.get(key, ())) > 1):
        return f"{action} {key} of {entry.desired.uid}"
    return f"{action} {key}"


def wish(desired: Desired) -> dict[str, Any]:
    """What is wanted of an object, as far as a precondition names it."""
    return {"generation": desired.generation, "deleting": desired.deleting_at is not None}
