"""The plan of one network."""

from __future__ import annotations

from reconciler.kinds.base.context import Context, Outcome
from reconciler.kinds.base.sequence import Sequence
from reconciler.kinds.container import restarts, runs
from reconciler.kinds.container import tasks as container_tasks
from reconciler.kinds.container.observed import ContainerObserved
from reconciler.kinds.network import changes
from reconciler.kinds.network.tasks import Create, Remove, Repair, Update
from reconciler.kinds.network.wiring import network_observed, this_boot
from reconciler.model import kinds
from reconciler.model.keys import Key
from reconciler.model.objects import BUILTIN, NEW
from reconciler.model.tasks import Declare, Withdraw
from reconciler.model.view import Entry


def plan(context: Context, entry: Entry) -> Outcome:
    return _removal(context, entry) if entry.desired.deleting_at is not None else _upkeep(context, entry)


def agrees(context: Context, entry: Entry) -> bool:
    """Whether nothing is to be done for a live network; may say no where planning finds nothing either."""
    observed = this_boot(network_observed(entry), context.now)
    made = observed.created and not observed.drift and observed.written == entry.desired.spec
    return made and not _unneeded(context, entry)


def attached(observed: ContainerObserved, network_uid: str) -> bool:
    """Whether the container has an address in that network."""
    return any(at.network_uid == network_uid for at in observed.attachments)


def moves_users(entry: Entry) -> bool:
    """Whether a live network's pending change makes its containers anew."""
    observed = network_observed(entry)
    return observed.created and any(not change.in_place for change in changes.changes(observed, entry.desired))


def _upkeep(context: Context, entry: Entry) -> Outcome:
    sequence = Sequence(context, entry)
    observed = this_boot(network_observed(entry), context.now)
    if _unneeded(context, entry):
        sequence.add(Withdraw(entry.desired.key), "no container needs it any more")
        return sequence.outcome()
    if not observed.created:
        _creation(context, entry, sequence)
        return sequence.outcome()
    diff = changes.changes(observed, entry.desired)
    if diff:
        sequence.add(Update(), "its spec has changed", diff=diff)
    elif observed.drift:
        facets = tuple(sorted(observed.drift))
        sequence.add(Repair(facets=facets), "missing or altered: " + ", ".join(facets))
    return sequence.outcome()


def _unneeded(context: Context, entry: Entry) -> bool:
    """The instance's own network goes with the last object that names it."""
    builtin = entry.desired.owner.source == BUILTIN and not entry.desired.uid.startswith(NEW)
    return builtin and str(entry.desired.key) not in context.view.referred


def _creation(context: Context, entry: Entry, sequence: Sequence) -> None:
    """After the removal of predecessors: two networks of one name may want the same subnet."""
    if entry.desired.uid.startswith(NEW) and entry.desired.owner.source == BUILTIN:
        key = entry.desired.key
        sequence.add(Declare(key, {}, builtin=True), "a container needs the instance's own network")
    after = []
    for predecessor in context.view.terminating.get(entry.desired.key, ()):
        removal = context.outcome(predecessor).find(Remove)
        if removal is None:
            sequence.wait(
                "NameTerminating", f"the former {entry.desired.key} is still being removed", (entry.desired.key,)
            )
            return
        after.append(removal.id)
    sequence.add(Create(), "it has not been made yet", after=after)


def _removal(context: Context, entry: Entry) -> Outcome:
    sequence = Sequence(context, entry)
    uid = entry.desired.uid
    users = [
        user.desired.key
        for user, seen in runs.observed_all(context.live(kinds.CONTAINER.name))
        if _holds(context, user, seen, uid)
    ]
    if users:
        sequence.wait("InUse", "used by " + _names(users), tuple(users))
        return sequence.outcome()
    after = []
    for user, seen in runs.observed_all(context.terminating(kinds.CONTAINER.name)):
        if attached(seen, uid):
            removal = context.outcome(user).find(container_tasks.Remove)
            if removal is None:
                sequence.wait("InUse", f"used by {user.desired.key}, which is being removed", (user.desired.key,))
                return sequence.outcome()
            after.append(removal.id)
    sequence.add(Remove(bridge=network_observed(entry).bridge), "it is being deleted", after=after)
    return sequence.outcome()


def _holds(context: Context, user: Entry, seen: ContainerObserved, uid: str) -> bool:
    """Whether a live container runs, or is about to run again, in the network. One that is stopped or has done its
    work does not: should it start again, it is wired anew.
    """
    observed = runs.this_boot(seen, context.now)
    if observed.incarnation is None or not attached(observed, uid):
        return False
    if observed.process in ("created", "running"):
        return True
    return not user.desired.override.stopped and restarts.wants_start(user.desired, observed)


def _names(keys: list[Key], most: int = 5) -> str:
    shown = ", ".join(str(key) for key in keys[:most])
    return shown if len(keys) <= most else f"{shown} and {len(keys) - most} more"
