"""The effect half of a kind: how its steps are carried out, how it is observed, what may be left of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.model.plan import Step
from reconciler.model.view import Entry
from reconciler.store.base import Session


@dataclass(frozen=True)
class StepHandler:
    """How a step is carried out, in two parts.

    ``claim(parts, session, step, entry)`` runs in the transaction that has found the step's precondition to hold and
    that begins its journal row: it makes the step's first write, and returns all that the rest works on. ``entry`` is
    the object as it is then; what is wanted of it is what the plan saw, to the letter. ``carry_out(parts, job, claim)``
    does the rest, and reads no wish again. Both may be killed at any instruction and asked for again.

    ``doing`` and ``did`` are event reasons recorded when the step starts and when it succeeds. ``ordered``: steps of
    one object run one after another.
    """

    claim: Callable[[Parts, Session, Step, Entry], Any]
    carry_out: Callable[[Parts, Job, Any], Any]
    doing: str = ""
    did: str = ""
    ordered: bool = True
    told: Callable[[Job], str] | None = None


def _nothing_to_observe(parts: Parts, entry: Entry, closely: bool) -> bool:
    return False


@dataclass(frozen=True)
class Effects:
    """``steps`` are by the action of their tasks. ``observe`` notes what is true of an object now and tells whether
    that is news; ``closely`` also compares what it shares with the host."""

    steps: Mapping[str, StepHandler] = field(default_factory=dict)
    observe: Callable[[Parts, Entry, bool], bool] = _nothing_to_observe
