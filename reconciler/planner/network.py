"""The plan of one network."""

from __future__ import annotations

from reconciler.kinds.network import changes
from reconciler.model.keys import Key
from reconciler.model.observed import ContainerObserved
from reconciler.model.view import Entry
from reconciler.planner import restarts, retry
from reconciler.planner.context import Context, Outcome, network_observed
from reconciler.planner.steps import Sequence


def plan(context: Context, entry: Entry) -> Outcome:
    return _removal(context, entry) if entry.desired.deleting_at is not None else _upkeep(context, entry)


def agrees(entry: Entry) -> bool:
    """Whether nothing is to be done for a live network; may say no where planning finds nothing either."""
    observed = network_observed(entry)
    return observed.created and not observed.drift and observed.written == entry.desired.spec


def attached(observed: ContainerObserved, network_uid: str) -> bool:
    """Whether the container has an address in that network."""
    return any(at.network_uid == network_uid for at in observed.attachments)


def moves_containers(entry: Entry) -> bool:
    """Whether a live network's pending change makes its containers anew."""
    observed = network_observed(entry)
    return observed.created and any(not change.in_place for change in changes.changes(observed, entry.desired))


def _upkeep(context: Context, entry: Entry) -> Outcome:
    sequence = Sequence(context, entry)
    observed = network_observed(entry)
    if not observed.created:
        _creation(context, entry, sequence)
        return sequence.outcome()
    diff = changes.changes(observed, entry.desired)
    if diff:
        sequence.add("network_update", "its spec has changed", diff=diff)
    elif observed.drift:
        facets = sorted(observed.drift)
        sequence.add("network_repair", "missing or altered: " + ", ".join(facets), args={"facets": facets})
    return sequence.outcome()


def _creation(context: Context, entry: Entry, sequence: Sequence) -> None:
    """After the removal of predecessors: two networks of one name may want the same subnet."""
    after = []
    for predecessor in context.view.terminating.get(entry.desired.key, ()):
        removal = context.outcome(predecessor).find("network_remove")
        if removal is None:
            sequence.wait(
                "NameTerminating", f"the former {entry.desired.key} is still being removed", (entry.desired.key,)
            )
            return
        after.append(removal.id)
    sequence.add("network_create", "it has not been made yet", after=after)


def _removal(context: Context, entry: Entry) -> Outcome:
    sequence = Sequence(context, entry)
    uid = entry.desired.uid
    users = [
        user.desired.key for user, seen in context.containers(terminating=False) if _holds(context, user, seen, uid)
    ]
    if users:
        sequence.wait("InUse", "used by " + _names(users), tuple(users))
        return sequence.outcome()
    after = []
    for user, seen in context.containers(terminating=True):
        if attached(seen, uid):
            removal = context.outcome(user).find("remove")
            if removal is None:
                sequence.wait("InUse", f"used by {user.desired.key}, which is being removed", (user.desired.key,))
                return sequence.outcome()
            after.append(removal.id)
    sequence.add("network_remove", "it is being deleted", args={"bridge": network_observed(entry).bridge}, after=after)
    return sequence.outcome()


def _holds(context: Context, user: Entry, seen: ContainerObserved, uid: str) -> bool:
    """Whether a live container runs, or is about to run again, in the network. One that is stopped or has done its
    work does not: should it start again, it is wired anew.
    """
    observed = retry.this_boot(seen, context.now)
    if observed.incarnation is None or not attached(observed, uid):
        return False
    if observed.process in ("created", "running"):
        return True
    return not user.desired.override.stopped and restarts.wants_start(user.desired, observed)


def _names(keys: list[Key], most: int = 5) -> str:
    shown = ", ".join(str(key) for key in keys[:most])
    return shown if len(keys) <= most else f"{shown} and {len(keys) - most} more"
