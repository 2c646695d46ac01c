"""What a step does, as data: each kind has its own tasks (``kinds/KIND/tasks.py``), those here belong to no kind."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from reconciler.model.keys import Key


class Task(msgspec.Struct, frozen=True):
    """``action`` names the job that carries the task out; the fields are plain values, shown in the plan as ``args``.

    ``slow``: it may take long, so the status is written before it starts. ``learns``: its result may change the plan,
    which is made again. ``harmless``: the object stays ready while it is due. ``mends``: it repairs what somebody
    removed or changed. ``moves_users``: the users of the object are looked at closely afterwards. ``shared``: a name by
    which several objects wait for the same task.
    """

    action: ClassVar[str]
    slow: ClassVar[bool] = False
    learns: ClassVar[bool] = False
    harmless: ClassVar[bool] = False
    mends: ClassVar[bool] = False
    moves_users: ClassVar[bool] = False

    @property
    def shared(self) -> str:
        return ""

    def shown(self) -> dict[str, Any]:
        """The fields that are not None, as JSON values."""
        return {name: value for name, value in msgspec.to_builtins(self).items() if value is not None}


class Declare(Task, frozen=True):
    """The owner creates an object, or changes it to ``spec`` and ``labels``. ``builtin``: pydock itself is the
    owner."""

    action: ClassVar[str] = "declare"
    learns: ClassVar[bool] = True
    key: Key
    spec: dict[str, Any]
    labels: dict[str, str] = {}
    builtin: bool = False


class Withdraw(Task, frozen=True):
    """An object is deleted by its owner, or because its owner is gone."""

    action: ClassVar[str] = "withdraw"
    learns: ClassVar[bool] = True
    key: Key


class Purge(Task, frozen=True):
    """The object's row is deleted; nothing else is left of it."""

    action: ClassVar[str] = "purge"
