"""Building the steps of one object: names, order, preconditions, and what a recent failure holds back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from reconciler import errors
from reconciler.model import kinds
from reconciler.model.keys import Key
from reconciler.model.plan import Action, FieldChange, Step, Wait
from reconciler.model.view import Entry, View
from reconciler.planner import refresh, retry
from reconciler.planner.context import Context, Outcome, container_observed


class Sequence:
    """The steps of one object, each after the one before it."""

    def __init__(self, context: Context, entry: Entry) -> None:
        self._context, self._entry = context, entry
        self._steps: list[Step] = []
        self._waits: list[Wait] = []
        self._warnings: list[str] = []

    def add(
        self,
        action: Action,
        cause: str,
        *,
        args: dict[str, Any] | None = None,
        after: Iterable[str] = (),
        diff: tuple[FieldChange, ...] = (),
        relies: dict[str, Any] | None = None,
        restarts: bool = False,
        loses_data: bool = False,
    ) -> None:
        """``after`` are steps of other objects; ``relies`` adds to the precondition."""
        desired = self._entry.desired
        previous = (self._steps[-1].id,) if self._steps else ()
        step = Step(
            id=step_id(self._context.view, self._entry, action), action=action, key=desired.key, uid=desired.uid,
            cause=cause, after=tuple(dict.fromkeys((*previous, *after))), diff=diff, restarts=restarts,
            precondition={**_state(self._entry), **(relies or {})}, loses_data=loses_data, args=args or {},
        )  # fmt: skip
        self._steps.append(step)

    def pull(self, reference: str, cause: str = "", replaces: str = "", *, own: bool = False) -> None:
        """A step shared by all that need the image; it belongs to the Image object that keeps the reference, if there
        is one that may pull; ``own``: to this object. ``replaces`` is the digest of the image that is here and is not
        the one that is wanted.
        """
        keeper = self._context.image_object(reference)
        may = keeper is not None and refresh.policy(keeper.desired) != "Never"
        owner = keeper.desired if keeper is not None and may and not own else self._entry.desired
        platform = str(keeper.desired.spec.get("platform") or "") if keeper is not None else ""
        wanted = self._range(reference)
        more = {"platform": platform, "replaces": replaces, "range": wanted}
        step = Step(
            id=f"pull {reference} for {owner.key}" if own else f"pull {reference}",
            action="pull", key=owner.key, uid=owner.uid, cause=cause or refresh.lack(reference, wanted),
            args={"reference": reference} | {name: value for name, value in more.items() if value},
        )  # fmt: skip
        self._steps.append(step)

    def check(self, reference: str, cause: str) -> None:
        """Asks the registry what the reference means now."""
        wanted = self._range(reference)
        self.add("check", cause, args={"reference": reference} | ({"range": wanted} if wanted else {}))

    def _range(self, reference: str) -> str:
        """The range of versions that the reference stands for here; empty: it is a tag."""
        keeper = self._context.image_object(reference)
        return refresh.range_of(keeper.desired) if keeper is not None else ""

    def again(self, reason: str, message: str, until: float) -> None:
        """The object is looked at again then; it lacks nothing meanwhile."""
        self._waits.append(msgspec.structs.replace(wait(self._entry, reason, message, (), until), quiet=True))

    def again_after_failure(self, action: Action) -> bool:
        """Whether ``action`` failed a moment ago, and is left until it may be tried again."""
        held = retry.held_back(self._entry, action, self._context.now)
        if held:
            observed = retry.observed_of(self._entry)
            self.again("Error", observed.error, observed.retry_mono)
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
            if retry.held_back(entry, step.action, now):
                observed = retry.observed_of(entry)
                failed = wait(entry, "Error", observed.error, until=observed.retry_mono)
                return Outcome(tuple(self._steps[:index]), (failed, *self._waits), tuple(self._warnings))
        return Outcome(tuple(self._steps), tuple(self._waits), tuple(self._warnings))


def wait(entry: Entry, reason: str, message: str, on: tuple[Key, ...] = (), until: float = 0.0) -> Wait:
    return Wait(key=entry.desired.key, reason=reason, message=message, on=on, until_mono=until, uid=entry.desired.uid)


def step_id(view: View, entry: Entry, action: Action) -> str:
    """``ACTION KEY``, with the uid where a terminating object shares its key with another."""
    key = entry.desired.key
    if entry.desired.deleting_at is not None and (key in view.live or len(view.terminating.get(key, ())) > 1):
        return f"{action} {key} of {entry.desired.uid}"
    return f"{action} {key}"


def check(step: Step, entry: Entry | None) -> None:
    """Raises ``Conflict`` if ``entry`` (the step's object as it is now, None when gone) is not what the step relies on.

    Preconditions: ``generation``; ``deleting``; ``incarnation`` (its id, empty for none); ``process`` (one of a list).
    """
    if entry is None:
        raise errors.Conflict(f"{step.key} is gone")
    found: dict[str, Any] = _state(entry)
    if entry.desired.key.kind == kinds.CONTAINER.name:
        observed = container_observed(entry)
        found["incarnation"] = observed.incarnation.id if observed.incarnation is not None else ""
        found["process"] = observed.process
    for name, wanted in step.precondition.items():
        present = found.get(name)
        if present not in wanted if isinstance(wanted, list) else present != wanted:
            raise errors.Conflict(f"{step.key}: {name} is {present!r}, {step.action} relies on {wanted!r}")


def _state(entry: Entry) -> dict[str, Any]:
    return {"generation": entry.desired.generation, "deleting": entry.desired.deleting_at is not None}
