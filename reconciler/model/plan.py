"""A plan: what must be done, in which order, and why. Executors carry it out and decide nothing."""

from __future__ import annotations

from typing import Any

import msgspec

from reconciler.model.keys import Key
from reconciler.model.objects import Desired
from reconciler.model.tasks import Task


class FieldChange(msgspec.Struct, frozen=True):
    """One field that differs; ``in_place`` False means that the container is created anew."""

    path: str
    old: Any
    new: Any
    in_place: bool


class Step(msgspec.Struct, frozen=True):
    """One thing to do, with all that it was planned from.

    ``id`` is unique in a plan, such as ``start container/default/web``. ``task`` says what is done, ``desired`` is the
    object as it was planned for. ``after`` holds ids of steps that must have succeeded. ``precondition`` says what the
    step relies on; it is checked in the transaction that claims the step (``planner.check``). ``cause`` is a sentence.
    ``restarts``: a running process ends and starts again. ``loses_data``: a writable layer goes.
    """

    id: str
    task: Task
    desired: Desired
    cause: str
    after: tuple[str, ...] = ()
    precondition: dict[str, Any] = {}
    diff: tuple[FieldChange, ...] = ()
    restarts: bool = False
    loses_data: bool = False

    @property
    def action(self) -> str:
        """The name of the job that carries it out."""
        return self.task.action

    @property
    def args(self) -> dict[str, Any]:
        """What the task says, as JSON values."""
        return self.task.shown()

    @property
    def key(self) -> Key:
        return self.desired.key

    @property
    def uid(self) -> str:
        return self.desired.uid


class Wait(msgspec.Struct, frozen=True):
    """Why an object has nothing to do yet: ``reason`` is a CamelCase word for a condition, ``until_mono`` a
    CLOCK_BOOTTIME deadline (0: until ``on`` changes). ``uid`` tells a terminating object from its successor. The object
    is ready in spite of a ``quiet`` or a ``harmless`` wait; the status tells only of the harmless one."""

    key: Key
    reason: str
    message: str
    on: tuple[Key, ...] = ()
    until_mono: float = 0.0
    uid: str = ""
    quiet: bool = False
    harmless: bool = False


class Plan(msgspec.Struct, frozen=True):
    """``steps`` stand in an order that respects ``after``. ``warnings`` are sentences for people."""

    steps: tuple[Step, ...] = ()
    waits: tuple[Wait, ...] = ()
    warnings: tuple[str, ...] = ()
