"""What a container has to wait for: its predecessors, its networks, the containers that it starts after."""

from __future__ import annotations

from typing import NamedTuple

from reconciler.kinds.base import sequence as steps
from reconciler.kinds.base.context import Context
from reconciler.kinds.container import refs, restarts, runs
from reconciler.kinds.container.observed import ContainerObserved
from reconciler.kinds.container.tasks import Create, Remove, Start
from reconciler.kinds.network.wiring import networks
from reconciler.model.plan import Wait
from reconciler.model.view import Entry


class Gate(NamedTuple):
    """Steps of other objects that must come first, and waits where the plan has no such step."""

    after: tuple[str, ...] = ()
    waits: tuple[Wait, ...] = ()


class Gates(NamedTuple):
    """``circle`` has a wait when the container is in a dependency cycle; nothing else matters then."""

    name: Gate = Gate()
    wiring: Gate = Gate()
    turn: Gate = Gate()
    circle: tuple[Wait, ...] = ()

    @property
    def after(self) -> tuple[str, ...]:
        return (*self.name.after, *self.wiring.after, *self.turn.after)

    @property
    def waits(self) -> tuple[Wait, ...]:
        """All that keeps the container from starting."""
        return self.circle or (*self.name.waits, *self.wiring.waits, *self.turn.waits)

    @property
    def keep_from_creating(self) -> bool:
        return bool(self.circle or self.name.waits or self.wiring.waits)


def gates(context: Context, entry: Entry) -> Gates:
    path = context.cycles.get(entry.desired.key)
    if path:
        message = "dependsOn forms a cycle: " + " → ".join(str(key) for key in path)
        return Gates(circle=(steps.wait(entry, "DependencyCycle", message),))
    return Gates(_name(context, entry), wiring(context, entry), _turn(context, entry))


def wiring(context: Context, entry: Entry) -> Gate:
    """The container's networks must be there and complete."""
    after: list[str] = []
    waits: list[Wait] = []
    for key in networks(context, entry.desired):
        network = context.view.live.get(key)
        if network is None:
            waits.append(steps.wait(entry, "NetworkMissing", f"{key} does not exist", (key,)))
            continue
        planned = context.outcome(network).steps
        after += [step.id for step in planned]
        if not planned and not getattr(network.observed, "created", False):
            waits.append(steps.wait(entry, "NetworkNotReady", f"{key} is not ready", (key,)))
    return Gate(tuple(after), tuple(waits))


def in_the_way(context: Context, entry: Entry, observed: ContainerObserved, gate: Gate) -> bool:
    """Whether the container's own attachments keep its next network from being made: a former network of that name
    goes only when nobody uses it.
    """
    if not gate.waits:
        return False
    live = [key for key in networks(context, entry.desired) if key in context.view.live]
    former = {gone.desired.uid for key in live for gone in context.view.terminating.get(key, ())}
    return any(at.network_uid in former for at in observed.attachments)


def _name(context: Context, entry: Entry) -> Gate:
    """Former containers of the name are removed first. A container that was made already is past that."""
    if runs.observed_of(entry).incarnation is not None:
        return Gate()
    key, after = entry.desired.key, []
    for predecessor in context.view.terminating.get(key, ()):
        removal = context.outcome(predecessor).find(Remove)
        if removal is None:
            return Gate((), (steps.wait(entry, "NameTerminating", f"the former {key} is still being removed", (key,)),))
        after.append(removal.id)
    return Gate(tuple(after))


def _turn(context: Context, entry: Entry) -> Gate:
    """The containers it depends on must have started."""
    after: list[str] = []
    waits: list[Wait] = []
    for key in refs.orders(entry.desired):
        other = context.view.live.get(key)
        if other is None:
            waits.append(steps.wait(entry, "DependencyMissing", f"{key} does not exist", (key,)))
            continue
        planned = context.outcome(other)
        anew = planned.find(Remove, Create)
        start = planned.find(Start)
        if not anew and _has_started(context, other):
            continue
        if start is not None:
            after.append(start.id)
        else:
            waits.append(steps.wait(entry, "DependencyNotStarted", f"{key} has not started", (key,)))
    return Gate(tuple(after), tuple(waits))


def _has_started(context: Context, entry: Entry) -> bool:
    """Whether it has started in this boot, or has completed and need not start again."""
    observed = runs.this_boot(runs.observed_of(entry), context.now)
    if observed.incarnation is None:
        return False
    if observed.starts > 0 and observed.process in ("running", "exited"):
        return True
    return observed.process == "exited" and not restarts.wants_start(entry.desired, observed)
