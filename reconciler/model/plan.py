"""The plan: an ordered graph of steps that make observed state agree with desired state."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from reconciler.model.keys import Key

#: each action is the name of the Engine's handler that carries it out
Action = Literal[
    "check",
    "pull",
    "untag",
    "create",
    "start",
    "stop",
    "remove",
    "update",
    "repair",
    "network_create",
    "network_update",
    "network_repair",
    "network_remove",
]


class FieldChange(msgspec.Struct, frozen=True):
    """One field that differs; ``in_place`` False means that the container is created anew."""

    path: str
    old: Any
    new: Any
    in_place: bool


class Step(msgspec.Struct, frozen=True):
    """One thing to do.

    ``id`` is unique in a plan, such as ``start container/default/web``. ``after`` holds ids of steps that must have
    succeeded. ``precondition`` says what the step relies on; a handler checks it and raises ``Conflict`` if the
    world has moved on. ``cause`` is a sentence. ``restarts``: a running process ends and starts again.
    ``loses_data``: a writable layer goes. ``args`` are plain values for the handler.
    """

    id: str
    action: Action
    key: Key
    uid: str
    cause: str
    after: tuple[str, ...] = ()
    precondition: dict[str, Any] = {}
    diff: tuple[FieldChange, ...] = ()
    restarts: bool = False
    loses_data: bool = False
    args: dict[str, Any] = {}


class Wait(msgspec.Struct, frozen=True):
    """Why an object has nothing to do yet: ``reason`` is a CamelCase word for a condition, ``until_mono`` a
    CLOCK_BOOTTIME deadline (0: until ``on`` changes). ``uid`` tells a terminating object from its successor. A
    ``quiet`` wait keeps the object from nothing that it needs: it is ready all the same."""

    key: Key
    reason: str
    message: str
    on: tuple[Key, ...] = ()
    until_mono: float = 0.0
    uid: str = ""
    quiet: bool = False


class Plan(msgspec.Struct, frozen=True):
    """``steps`` stand in an order that respects ``after``. ``warnings`` are sentences for people."""

    steps: tuple[Step, ...] = ()
    waits: tuple[Wait, ...] = ()
    warnings: tuple[str, ...] = ()
