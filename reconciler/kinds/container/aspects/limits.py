"""What a container may use: its cgroup's limits follow an edit while it runs, and are put back when they drift."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from reconciler.drivers.exec import base as driver
from reconciler.kinds.base import values
from reconciler.kinds.container.aspects.base import Arguments, Aspect, Run, Running
from reconciler.model import forms, quantity
from reconciler.model.fields import Field, Spec

if TYPE_CHECKING:
    from reconciler.kinds.container.spec import ContainerSpec

_MEMORY = values.quantity("Bytes: 64Mi, 2G. Beyond it the kernel ends the container's processes.", forms.memory)
_PIDS = Field("Processes and threads.", least=1, most=4194304, default=quantity.DEFAULT_PIDS)


class Limits(Spec, frozen=True):
    """None is no limit, but for pids, where None is the daemon's default (``quantity.DEFAULT_PIDS``)."""

    cpu: Annotated[str | int | float | None, values.quantity("Cores: 0.5 or 500m is half of one.", forms.cpu)] = None
    memory: Annotated[str | int | None, _MEMORY] = None
    pids: Annotated[int | None, _PIDS] = None


class ResourceSpec(Spec, frozen=True):
    limits: Annotated[
        Limits,
        Field("Upper bounds; no bound where left out, but for pids.", later=("ephemeral-storage", "swap", "io")),
    ] = Limits()


def limits(spec: ContainerSpec) -> driver.Limits:
    """In the exec driver's units."""
    wanted = spec.resources.limits
    return driver.Limits(
        cpu_millis=forms.cpu(wanted.cpu) if wanted.cpu is not None else 0,
        memory=forms.memory(wanted.memory) if wanted.memory is not None else 0,
        pids=wanted.pids if wanted.pids is not None else quantity.DEFAULT_PIDS,
    )


def _configure(run: Run) -> Arguments:
    return {"limits": limits(run.spec)}


def _apply(running: Running) -> None:
    running.exec.set_limits(running.id, limits(running.spec))


def _drifted(running: Running) -> bool:
    found = running.exec.limits(running.id)
    return found is not None and not running.exec.limits_match(limits(running.spec), found)


Resources = Annotated[
    ResourceSpec,
    Field("What the container may use.", in_place=True, later=("requests",)),
    Aspect("limits", _configure, live=limits, apply=_apply, drifted=_drifted, by_process=True),
]
