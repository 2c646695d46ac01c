"""The plan of some objects with all they depend on, or of everything."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

from reconciler.kinds import table
from reconciler.kinds.base import owning
from reconciler.kinds.base.context import Context, Outcome
from reconciler.kinds.base.sequence import Sequence
from reconciler.model import kinds
from reconciler.model.keys import Key
from reconciler.model.objects import Desired
from reconciler.model.plan import Plan
from reconciler.model.refs import Ref
from reconciler.model.tasks import Withdraw
from reconciler.model.view import Entry, Moment, View
from reconciler.planner import graph


def plan(view: View, keys: Iterable[Key] | None, now: Moment) -> Plan:
    """The steps that bring the objects of ``keys`` (None: all), and what they depend on, from observed to desired
    state.

    Equal inputs give equal plans. Steps stand after those they depend on. Never raises for what is in the view.
    """
    context = Context(view, now)
    scope = _all(context) if keys is None else _closure(context, keys)
    for entry in _in_order(context, scope):
        context.outcomes[entry.desired.uid] = _outcome(context, entry)
    return context.plan()


def _outcome(context: Context, entry: Entry) -> Outcome:
    """An object whose owner is gone withdraws itself, whatever its kind."""
    if entry.desired.deleting_at is None and owning.is_orphan(context, entry):
        steps = Sequence(context, entry)
        steps.add(Withdraw(entry.desired.key), "the object that made it is gone")
        return steps.outcome()
    return table.pure(entry.desired.key.kind).plan(context, entry)


def dependencies(desired: Desired, live: Container[Key] = ()) -> tuple[Key, ...]:
    """The keys whose state this object's plan depends on, besides its own, given the ``live`` objects (by default every
    key that might count)."""
    refs = table.pure(desired.key.kind).refs(desired)
    named = (ref.key for ref in refs if ref.unless is None or ref.unless not in live)
    return tuple(dict.fromkeys(key for key in named if key is not None))


def _all(context: Context) -> set[Key]:
    """Everything that may have something to do: most of 10,000 objects agree, which is quick to see."""
    live = context.view.live
    return {key for key, entry in live.items() if not _agrees(context, entry)} | context.view.terminating.keys()


def _closure(context: Context, keys: Iterable[Key]) -> set[Key]:
    """``keys``, the users of objects among them that must be made anew with them, and all that these depend on."""
    scope = set(keys)
    live = context.view.live
    moving = {key for key in scope if key in live and table.pure(key.kind).moves_users(live[key])}
    if moving:
        scope |= {key for key, entry in live.items() if moving.intersection(dependencies(entry.desired, live))}
    return scope


def _in_order(context: Context, scope: set[Key]) -> Iterator[Entry]:
    """Yields each object after those whose outcomes its planning reads: first what is being removed, users before what
    they use; then what stays, in the opposite order. Objects that agree are left out."""
    live, ordered = _with_dependencies(context, scope)
    names = scope | live
    gone = [entry for key in names for entry in context.view.terminating.get(key, ())]
    gone += _users_that_go(context, gone, scope)
    distinct = {entry.desired.uid: entry for entry in gone}.values()
    yield from sorted(distinct, key=_users_first)
    for key in ordered:
        if not _agrees(context, context.view.live[key]):
            yield context.view.live[key]


def _users_first(entry: Entry) -> tuple[int, Key, str]:
    return -kinds.rank(entry.desired.key.kind), entry.desired.key, entry.desired.uid


def _with_dependencies(context: Context, scope: set[Key]) -> tuple[set[Key], list[Key]]:
    """The live objects of ``scope`` with those they depend on: as a set, and in order, dependencies first. Notes
    cycles."""
    live = context.view.live
    found, todo = set[Key](), sorted(key for key in scope if key in live)
    while todo:
        key = todo.pop()
        if key not in found:
            found.add(key)
            todo += [other for other in dependencies(live[key].desired, live) if other in live]
    ordered: list[Key] = []
    for kind in kinds.KINDS:
        ordered += _of_kind(context, [key for key in found if key.kind == kind.name])
    return found, ordered


def _of_kind(context: Context, keys: list[Key]) -> list[Key]:
    """Objects of one kind, each after those of its kind that come before it."""
    live = context.view.live

    def edges(key: Key) -> list[Key]:
        return [other for other in table.pure(key.kind).orders(live[key].desired) if other in live]

    ordered: list[Key] = []
    for component in graph.components(sorted(keys), edges):
        if path := graph.cycle_path(component, edges):
            context.cycles.update(dict.fromkeys(component, path))
        ordered += component
    return ordered


def _users_that_go(context: Context, gone: list[Entry], scope: set[Key]) -> Iterator[Entry]:
    """Objects being deleted that refer to one that may go: those of higher rank, whose removal is waited for."""
    entries = [*gone, *(context.view.live[key] for key in scope if key in context.view.live)]
    targets = {target for entry in entries for target in table.pure(entry.desired.key.kind).users(entry)}
    if not targets:
        return
    for leaving in context.view.terminating.values():
        for entry in leaving:
            if any(ref.target in targets for ref in _references(entry)):
                yield entry


def _references(entry: Entry) -> Iterator[Ref]:
    """Whom the object names, and what it holds by what it is now."""
    kind = table.pure(entry.desired.key.kind)
    yield from kind.refs(entry.desired)
    if entry.observed is not None:
        yield from kind.uses(entry.observed)


def _agrees(context: Context, entry: Entry) -> bool:
    return table.pure(entry.desired.key.kind).agrees(context, entry) and not owning.is_orphan(context, entry)
