"""The effect half of a kind: how its steps are carried out, how it is observed, what may be left of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from reconciler.drivers.network.base import EndpointConfig, NetworkConfig
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.kinds import table
from reconciler.model.plan import Step
from reconciler.model.view import Entry
from reconciler.store.base import Session


@dataclass(frozen=True)
class StepHandler:
    """How a step is carried out, in two parts.

    ``claim(parts, session, step, entry)`` runs in the transaction that checked the step's precondition and began its
    journal row. It makes the step's first write, and returns everything that the rest works on. ``entry`` is the object
    as it is then; its desired state is exactly what the plan saw. ``carry_out(parts, job, claim)`` does the rest, and
    does not read desired state again. Both may be killed at any instruction, and are then called again.

    ``doing`` and ``did`` are event reasons recorded when the step starts and when it succeeds. ``ordered``: the step
    waits for other steps of its object.
    """

    claim: Callable[[Parts, Session, Step, Entry], Any]
    carry_out: Callable[[Parts, Job, Any], Any]
    doing: str = ""
    did: str = ""
    ordered: bool = True
    told: Callable[[Job], str] | None = None


class Watched(NamedTuple):
    """What tells of changes around an object: its processes (pid and start time, as in /proc/PID/stat), cgroup files
    that somebody may write, its place in the network, the mount of an incarnation. ``altered``: what is watched was
    changed before the watch began."""

    processes: tuple[tuple[int, int], ...] = ()
    files: tuple[str, ...] = ()
    endpoint: EndpointConfig | None = None
    network: NetworkConfig | None = None
    mount: str = ""
    altered: Callable[[], bool] = lambda: False


#: names of things that belong to no object in the store, each with the function that removes it
Remains = list[tuple[str, Callable[[], None]]]


def _nothing_to_watch(parts: Parts, entry: Entry) -> Watched:
    return Watched()


def _nothing_left(parts: Parts) -> Callable[[list[Entry]], Remains]:
    return lambda entries: []


def _nothing_to_observe(parts: Parts, entry: Entry, closely: bool) -> bool:
    return False


@dataclass(frozen=True)
class Effects:
    """``steps`` are by the action of their tasks. ``observe`` records what is true of an object now, and returns
    whether anything has changed; ``closely`` also compares what it shares with the host. ``watch`` says what tells of
    its changes. ``remains(parts)`` reads what there is of the kind in the kernel and on the disk, and returns a
    function that picks what belongs to none of the store's entries. Names are stored before anything is made; so what
    was found first, and is not in the store afterwards, belongs to nobody."""

    steps: Mapping[str, StepHandler] = field(default_factory=dict)
    observe: Callable[[Parts, Entry, bool], bool] = _nothing_to_observe
    watch: Callable[[Parts, Entry], Watched] = _nothing_to_watch
    remains: Callable[[Parts], Callable[[list[Entry]], Remains]] = _nothing_left


_NONE = Effects()


def of(kind: str) -> Effects:
    """The effects of a kind by its name. One without any lives in the store alone."""
    found = table.effects(kind)
    return found if isinstance(found, Effects) else _NONE
