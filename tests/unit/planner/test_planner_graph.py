"""Order of dependencies and the paths of cycles."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from reconciler import planner
from reconciler.model.keys import Key
from reconciler.planner import graph

Graph = dict[Key, tuple[Key, ...]]


def key(number: int) -> Key:
    return Key("Container", "default", f"{number:05}")


graphs = st.integers(1, 8).flatmap(
    lambda size: st.lists(st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)), max_size=14).map(
        lambda pairs: {key(n): tuple(key(b) for a, b in pairs if a == n) for n in range(size)}
    )
)


def reachable(edges: Graph, start: Key) -> set[Key]:
    """All that ``start`` depends on, directly or not."""
    found: set[Key] = set()
    todo = list(edges[start])
    while todo:
        one = todo.pop()
        if one not in found:
            found.add(one)
            todo += edges[one]
    return found


@given(graphs)
def test_components_are_what_reaches_each_other_dependencies_first(edges: Graph) -> None:
    below = {one: reachable(edges, one) for one in edges}
    found = graph.components(sorted(edges), edges.__getitem__)
    assert sorted(one for component in found for one in component) == sorted(edges)
    for component in found:
        for one in component:
            mates = {other for other in edges if other in below[one] and one in below[other]} | {one}
            assert set(component) == mates
    place = {one: number for number, component in enumerate(found) for one in component}
    assert all(place[other] <= place[one] for one in edges for other in edges[one])


@given(graphs)
def test_a_cycle_is_found_with_its_path(edges: Graph) -> None:
    path = planner.find_cycle(edges)
    if path is None:
        assert not any(one in reachable(edges, one) for one in edges)
        return
    assert path[0] == path[-1]
    assert len(set(path)) == len(path) - 1
    assert all(after in edges[before] for before, after in pairwise(path))


def test_path_of_a_cycle() -> None:
    edges = {key(1): (key(2),), key(2): (key(3), key(4)), key(3): (key(1),), key(4): ()}
    assert planner.find_cycle(edges) == (key(1), key(2), key(3), key(1))
    assert planner.find_cycle({key(1): (key(1),)}) == (key(1), key(1))
    assert planner.find_cycle({key(1): (key(2),)}) is None


def test_a_chain_as_long_as_a_host_has_containers() -> None:
    size = 20_000
    edges = {key(n): (key(n + 1),) for n in range(size)} | {key(size): ()}
    found = graph.components([key(0)], edges.__getitem__)
    assert [component[0] for component in found] == [key(n) for n in range(size, -1, -1)]
    assert len(planner.find_cycle({**edges, key(size): (key(0),)}) or ()) == size + 2
