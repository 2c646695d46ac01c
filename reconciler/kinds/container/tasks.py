"""What steps of containers do."""

from __future__ import annotations

from typing import ClassVar

from reconciler.kinds.container.observed import Facet
from reconciler.model.tasks import Task


class Create(Task, frozen=True):
    """A new incarnation of the image with that id (empty: it comes with the plan)."""

    action: ClassVar[str] = "create"
    image: str


class Start(Task, frozen=True):
    """``counts``: it follows an exit, and is counted as a restart."""

    action: ClassVar[str] = "start"
    counts: bool


class Stop(Task, frozen=True):
    """Asks the process to end. ``signal`` is a number; ``grace`` the seconds until SIGKILL follows it."""

    action: ClassVar[str] = "stop"
    slow: ClassVar[bool] = True
    learns: ClassVar[bool] = True
    signal: int
    grace: float


class Kill(Task, frozen=True):
    """The grace period is over: SIGKILL."""

    action: ClassVar[str] = "kill"
    slow: ClassVar[bool] = True
    learns: ClassVar[bool] = True


class Resume(Task, frozen=True):
    """A stop that has begun is cancelled."""

    action: ClassVar[str] = "resume"
    harmless: ClassVar[bool] = True


class Remove(Task, frozen=True):
    """Removes the incarnation with that id; ``final``: the object too."""

    action: ClassVar[str] = "remove"
    incarnation: str
    final: bool


class Update(Task, frozen=True):
    """Fields that take effect in place."""

    action: ClassVar[str] = "update"
    harmless: ClassVar[bool] = True


class Repair(Task, frozen=True):
    action: ClassVar[str] = "repair"
    harmless: ClassVar[bool] = True
    mends: ClassVar[bool] = True
    facets: tuple[Facet, ...]
