"""The plan of some objects with all they depend on, or of everything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconciler.model import kinds
from reconciler.model.keys import Key
from reconciler.model.objects import Desired
from reconciler.model.plan import Plan
from reconciler.model.view import DEFAULT_NETWORK, Entry, Moment, View
from reconciler.planner import container, graph, image, network, restarts
from reconciler.planner.context import Context, Outcome

_CONTAINER, _IMAGE, _NETWORK = kinds.CONTAINER.name, kinds.IMAGE.name, kinds.NETWORK.name


def plan(view: View, keys: Iterable[Key] | None, now: Moment) -> Plan:
    """The steps that bring the objects of ``keys`` (None: all), and what they depend on, from observed to desired
    state.

    Equal inputs give equal plans. Steps stand after those they depend on. Never raises for what is in the view.
    """
    context = Context(view, now)
    scope = _all(context) if keys is None else _closure(context, keys)
    for entry in _in_order(context, scope):
        context.outcomes[entry.desired.uid] = _plan_one(context, entry)
    return context.plan()


def dependencies(desired: Desired) -> tuple[Key, ...]:
    """The keys whose state this object's plan depends on, besides its own: containers it starts after, and its
    networks.

    For a network ``default`` that may be the namespace's own or the instance's, both are named.
    """
    if desired.key.kind != _CONTAINER:
        return ()
    written = desired.spec.get("networks")
    networks = (
        [Key(_NETWORK, desired.key.namespace, str(item["name"])) for item in written] if written else [DEFAULT_NETWORK]
    )
    if any(key.name == DEFAULT_NETWORK.name for key in networks):
        networks.append(DEFAULT_NETWORK)
    return tuple(dict.fromkeys((*restarts.dependencies(desired), *networks)))


def needs_users(entry: Entry) -> bool:
    """Whether planning this Image or Network asks who uses it, so that the view must hold every container and Image
    object.
    """
    kind, deleting = entry.desired.key.kind, entry.desired.deleting_at is not None
    if kind == _NETWORK:
        return deleting or network.moves_containers(entry)
    return kind == _IMAGE and (deleting or image.has_moved(entry))


class _Scope:
    """The objects to plan for, by what order their planning needs."""

    def __init__(self) -> None:
        self.containers: set[Key] = set()
        self.networks: set[Key] = set()
        self.images: set[Key] = set()
        self.names: set[Key] = set()

    def add(self, key: Key) -> None:
        {_CONTAINER: self.containers, _NETWORK: self.networks, _IMAGE: self.images}[key.kind].add(key)
        self.names.add(key)


def _all(context: Context) -> _Scope:
    """Everything that may have something to do: most of 10,000 objects agree, which is quick to see."""
    scope = _Scope()
    for key, entry in context.view.live.items():
        if not _agrees(context, entry):
            scope.add(key)
    scope.names.update(context.view.terminating)
    return scope


def _closure(context: Context, keys: Iterable[Key]) -> _Scope:
    """``keys``, and the users of networks among them that must be made anew with them."""
    scope = _Scope()
    for key in keys:
        scope.add(key)
    for key in sorted(scope.networks):
        entry = context.view.live.get(key)
        if entry is not None and network.moves_containers(entry):
            for user, _ in context.containers(terminating=False):
                if key in context.networks(user.desired):
                    scope.add(user.desired.key)
    return scope


def _in_order(context: Context, scope: _Scope) -> Iterator[Entry]:
    """Each object after those whose outcomes its planning reads. What agrees has no outcome."""
    live = context.view.live
    containers = _containers_in_order(context, scope)
    for key in containers:
        scope.names.add(key)
        scope.networks.update(context.networks(live[key].desired))
    scope.names |= scope.networks
    gone = [entry for key in sorted(scope.names) for entry in context.view.terminating.get(key, ())]
    yield from _distinct(_containers_gone(context, gone, everybody=bool(scope.images)))
    yield from (entry for entry in gone if entry.desired.key.kind == _NETWORK)
    yield from _busy(context, sorted(scope.networks))
    yield from (entry for entry in gone if entry.desired.key.kind == _IMAGE)
    yield from _busy(context, sorted(scope.images))
    yield from _busy(context, containers)


def _containers_in_order(context: Context, scope: _Scope) -> list[Key]:
    """The live containers of ``scope`` with those they depend on, dependencies first; notes cycles."""
    live = context.view.live

    def edges(key: Key) -> list[Key]:
        return [other for other in restarts.dependencies(live[key].desired) if other in live]

    ordered: list[Key] = []
    for component in graph.components(sorted(key for key in scope.containers if key in live), edges):
        if path := graph.cycle_path(component, edges):
            context.cycles.update(dict.fromkeys(component, path))
        ordered += component
    return ordered


def _containers_gone(context: Context, gone: list[Entry], everybody: bool) -> Iterator[Entry]:
    """Terminating containers: those of ``gone``, and those that its networks wait for; images may wait for any."""
    yield from (entry for entry in gone if entry.desired.key.kind == _CONTAINER)
    networks = [entry.desired.uid for entry in gone if entry.desired.key.kind == _NETWORK]
    if networks or everybody:
        for entry, observed in context.containers(terminating=True):
            if everybody or any(network.attached(observed, uid) for uid in networks):
                yield entry


def _distinct(entries: Iterable[Entry]) -> Iterator[Entry]:
    yield from {entry.desired.uid: entry for entry in entries}.values()


def _busy(context: Context, keys: Iterable[Key]) -> Iterator[Entry]:
    for key in keys:
        entry = context.view.live.get(key)
        if entry is not None and not _agrees(context, entry):
            yield entry


def _agrees(context: Context, entry: Entry) -> bool:
    kind = entry.desired.key.kind
    if kind == _CONTAINER:
        return container.agrees(context, entry)
    return network.agrees(entry) if kind == _NETWORK else image.agrees(context, entry)


def _plan_one(context: Context, entry: Entry) -> Outcome:
    kind = entry.desired.key.kind
    if kind == _CONTAINER:
        return container.plan(context, entry)
    return network.plan(context, entry) if kind == _NETWORK else image.plan(context, entry)
