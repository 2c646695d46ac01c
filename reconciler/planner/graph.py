"""Order and cycles of dependencies. Nothing here recurses: a chain may be as long as there are containers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping

from reconciler.model.keys import Key

Edges = Callable[[Key], Iterable[Key]]


def components(roots: Iterable[Key], edges: Edges) -> list[tuple[Key, ...]]:
    """All that is reachable from ``roots`` in strongly connected components, dependencies first (Tarjan's algorithm).

    ``edges(key)`` are the keys that ``key`` depends on. A component of more than one key, or of one that depends on
    itself, is a cycle.
    """
    walk = _Walk(edges)
    for root in roots:
        if root not in walk.index:
            walk.visit(root)
    return walk.found


def cycle_path(component: tuple[Key, ...], edges: Edges) -> tuple[Key, ...]:
    """The shortest way from the component's smallest key round to itself, that key at both ends; () if none."""
    members, start = set(component), min(component)
    came_from: dict[Key, Key] = {}
    todo = deque([start])
    while todo:
        key = todo.popleft()
        for other in sorted(edges(key)):
            if other == start:
                return _way_back(start, key, came_from)
            if other in members and other not in came_from:
                came_from[other] = key
                todo.append(other)
    return ()


def find_cycle(edges: Mapping[Key, Iterable[Key]]) -> tuple[Key, ...] | None:
    """The path of a cycle, such as ``(a, b, a)``, or None. ``edges`` maps a key to those it depends on."""

    def targets(key: Key) -> Iterable[Key]:
        return edges.get(key, ())

    for component in components(sorted(edges), targets):
        if path := cycle_path(component, targets):
            return path
    return None


def _way_back(start: Key, last: Key, came_from: Mapping[Key, Key]) -> tuple[Key, ...]:
    path = [start]
    while last != start:
        path.append(last)
        last = came_from[last]
    return (start, *reversed(path))


class _Walk:
    """The state of Tarjan's algorithm, with a stack of its own in place of the interpreter's."""

    def __init__(self, edges: Edges) -> None:
        self.found: list[tuple[Key, ...]] = []
        self.index: dict[Key, int] = {}
        self._edges = edges
        self._low: dict[Key, int] = {}
        self._open: dict[Key, None] = {}

    def visit(self, root: Key) -> None:
        path: list[tuple[Key, Iterator[Key]]] = [(root, self._enter(root))]
        while path:
            key, rest = path[-1]
            for other in rest:
                if other not in self.index:
                    path.append((other, self._enter(other)))
                    break
                if other in self._open:
                    self._low[key] = min(self._low[key], self.index[other])
            else:
                path.pop()
                self._leave(key)
                if path:
                    parent = path[-1][0]
                    self._low[parent] = min(self._low[parent], self._low[key])

    def _enter(self, key: Key) -> Iterator[Key]:
        self.index[key] = self._low[key] = len(self.index)
        self._open[key] = None
        return iter(self._edges(key))

    def _leave(self, key: Key) -> None:
        """Called when everything below ``key`` was seen: if nothing there reaches further up, a component is
        complete."""
        if self._low[key] != self.index[key]:
            return
        members: list[Key] = []
        while key in self._open:
            members.append(self._open.popitem()[0])
        self.found.append(tuple(sorted(members)))
