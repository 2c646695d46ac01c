"""The pure half of a kind: what the planner, the store and the API need to know of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.kinds.base import data
from reconciler.kinds.base.context import Context, Outcome
from reconciler.kinds.base.verdict import Case, Verdict
from reconciler.model.keys import Key
from reconciler.model.objects import Desired
from reconciler.model.observed import Condition, Observed
from reconciler.model.refs import Ref
from reconciler.model.view import Entry, Moment


@dataclass(frozen=True)
class Pure:
    """What a row of the table means. A kind that only holds data needs none of these: its objects are stored, are
    ready, and go when they are deleted.

    ``observed`` is the type of its observed state. ``plan`` gives the steps of one object; ``agrees`` is a quick check
    that a live object surely needs nothing; False only means that it must be planned for. ``verdict`` is what the
    status says, ``conditions`` are those beside Ready, ``show`` the kind's own fields of the status.

    ``refs`` are the objects and images that the spec names, ``uses`` those that an object holds by what it is now,
    ``orders`` the objects of the same kind that come before it, ``images`` the references of images whose facts its
    plan reads. ``users`` are the targets whose users the plan asks for; ``moves_users`` says that a pending change
    makes the users anew; ``revives`` that an object which is declared again, while its deletion waits for its users,
    goes on as if it had not been deleted. ``facts`` are what preconditions of its steps are compared with;
    ``this_boot`` reads an observed state of another boot.
    """

    observed: type[Observed] = Observed
    plan: Callable[[Context, Entry], Outcome] = data.plan
    agrees: Callable[[Context, Entry], bool] = data.agrees
    verdict: Callable[[Case], Verdict] = data.verdict
    conditions: Callable[[Case], Sequence[Condition]] = data.no_conditions
    show: Callable[[Any], dict[str, Any]] = data.show
    refs: Callable[[Desired], Iterable[Ref]] = data.no_refs
    uses: Callable[[Any], Iterable[Ref]] = data.no_refs
    orders: Callable[[Desired], Iterable[Key]] = data.no_refs
    users: Callable[[Entry], Iterable[str]] = data.no_refs
    images: Callable[[Entry], Iterable[str]] = data.no_refs
    revives: bool = False
    moves_users: Callable[[Entry], bool] = data.never
    facts: Callable[[Any], dict[str, Any]] = data.no_facts
    this_boot: Callable[[Any, Moment], Observed] = data.as_it_is

    def __post_init__(self) -> None:
        """A kind with a plan of its own is always planned for, unless it says when it agrees."""
        if self.plan is not data.plan and self.agrees is data.agrees:
            object.__setattr__(self, "agrees", data.may_disagree)
