"""What an aspect is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.drivers.exec.base import ExecDriver
from reconciler.kinds.base.rules import Rule

if TYPE_CHECKING:
    from reconciler.kinds.container.spec import ContainerSpec
    from reconciler.model.view import ImageFacts

#: named arguments of ``drivers.exec.base.ContainerConfig``
Arguments = dict[str, Any]


class Run(NamedTuple):
    """What the next run of a container is made from. ``hostname`` is the spec's, or the container's name."""

    spec: ContainerSpec
    image: ImageFacts
    hostname: str


def _only_looked_at() -> None:
    raise AssertionError("this container is only looked at: nothing of it is to be changed")


class Running(NamedTuple):
    """A container that is there, with the drivers that reach it. ``wire`` makes sure of its interfaces and ports; who
    only asks ``drifted`` need not give it."""

    id: str
    spec: ContainerSpec
    exec: ExecDriver
    wire: Callable[[], None] = _only_looked_at


class Aspect(NamedTuple):
    """``configure`` gives its part of the arguments of a run: tuples of several aspects are joined, all else comes from
    one aspect alone.

    ``live`` is what the kernel has of it, in the driver's words: where an edit in place changes that, ``apply`` brings
    the running container to its spec, and so it does when ``drifted`` finds that somebody else changed it. An aspect
    without ``live`` has nothing in the kernel that could follow: an edit in place changes the record alone.
    ``by_process``: what ``apply`` changes comes and goes with the process.
    """

    name: str
    configure: Callable[[Run], Arguments] | None = None
    rules: tuple[Rule, ...] = ()
    live: Callable[[ContainerSpec], Any] | None = None
    apply: Callable[[Running], None] | None = None
    drifted: Callable[[Running], bool] | None = None
    by_process: bool = False
