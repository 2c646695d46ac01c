"""What the planner asks of a view, what a step relies on, and how much work planning is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from reconciler import errors, planner
from reconciler.kinds import table
from reconciler.kinds.container.observed import ContainerObserved
from reconciler.kinds.image.observed import ImageObserved
from reconciler.model.keys import Key
from reconciler.model.view import DEFAULT_NETWORK, Entry, View
from reconciler.testing.world import World

WEB = Key("Container", "shop", "web")
BACK = Key("Network", "shop", "back")
NGINX = Key("Image", "", "nginx")
#: calls of functions: for an object that is as it should be, and for a container that is to be made anew
EACH, ONE_CHANGE = 25, 1_700


def depends(**fields: Any) -> tuple[str, ...]:
    entry = World().put(WEB, {"image": "nginx", **fields})
    return tuple(str(key) for key in planner.dependencies(entry.desired))


def test_dependencies() -> None:
    assert depends() == depends(networks=[]) == ("network/default/default",)
    assert depends(networks=[{"name": "back"}]) == ("network/shop/back",)
    assert depends(networks=[{"name": "default"}]) == ("network/shop/default", "network/default/default")
    assert depends(dependsOn=[{"name": "db"}, {"name": "mq"}], networks=[{"name": "back"}]) == (
        "network/shop/back",
        "container/shop/db",
        "container/shop/mq",
    )
    assert planner.dependencies(World().put(BACK, {}).desired) == ()


def test_a_network_default_of_the_namespace_counts_instead_of_the_instances() -> None:
    desired = World().put(WEB, {"image": "nginx", "networks": [{"name": "default"}]}).desired
    own = Key("Network", "shop", "default")
    assert planner.dependencies(desired, {own}) == (own,)


def _asks_for_users(entry: Entry) -> bool:
    return bool(list(table.pure(entry.desired.key.kind).users(entry)))


def test_who_must_see_its_users() -> None:
    world = World()
    world.put(WEB, {"image": "nginx"})
    world.put(BACK, {"subnet": "10.1.0.0/24"})
    world.put(NGINX, {"reference": "nginx"})
    keys = (WEB, BACK, NGINX, DEFAULT_NETWORK)
    assert not any(_asks_for_users(world.the(key)) for key in keys)
    world.settle()
    assert not any(_asks_for_users(world.the(key)) for key in keys)
    world.put(BACK, {"subnet": "10.1.0.0/24", "mtu": 1400})
    assert not _asks_for_users(world.the(BACK))
    world.put(BACK, {"subnet": "10.2.0.0/24"})
    world.put(NGINX, {"reference": "nginx:2"})
    assert _asks_for_users(world.the(BACK))
    assert _asks_for_users(world.the(NGINX))
    world = World()
    for key in keys[1:]:
        world.put(key, {"reference": "nginx"} if key == NGINX else {})
        world.delete(key)
    assert all(_asks_for_users(entry) for entry in world.entries.values())


@pytest.fixture
def stopping() -> tuple[World, Any]:
    world = World()
    world.put(WEB, {"image": "nginx"})
    world.settle()
    world.restart(WEB)
    return world, world.plan(WEB)


def test_a_step_relies_on_what_the_plan_saw(stopping: tuple[World, Any]) -> None:
    world, plan = stopping
    stop, start = plan.steps
    planner.check(stop, world.the(WEB))
    with pytest.raises(errors.Conflict, match=r"container/shop/web: process is 'running', start relies on \['absent'"):
        planner.check(start, world.the(WEB))
    with pytest.raises(errors.Conflict, match="container/shop/web is gone"):
        planner.check(stop, None)
    entry = world.the(WEB)
    other = msgspec.structs.replace(world.container(WEB).incarnation, id="another")  # type: ignore[type-var]
    world.entries[entry.desired.uid] = Entry(
        desired=entry.desired, observed=msgspec.structs.replace(world.container(WEB), incarnation=other)
    )
    with pytest.raises(errors.Conflict, match="incarnation is 'another'"):
        planner.check(stop, world.the(WEB))


def test_a_step_is_not_for_another_version(stopping: tuple[World, Any]) -> None:
    world, plan = stopping
    world.put(WEB, {"image": "nginx", "user": "1"})
    with pytest.raises(errors.Conflict, match="its spec has changed since the plan was made"):
        planner.check(plan.steps[0], world.the(WEB))
    world.put(WEB, {"image": "nginx"})
    world.delete(WEB)
    gone = next(entry for entry in world.entries.values() if entry.desired.key == WEB)
    with pytest.raises(errors.Conflict):
        planner.check(plan.steps[0], gone)


def test_an_image_object_that_was_never_looked_at() -> None:
    world = World()
    entry = world.put(NGINX, {"reference": "nginx"})
    world.delete(NGINX)
    assert planner.text(world.plan(NGINX)) == "untag image/nginx: it is being deleted\n"
    assert world.entries[entry.desired.uid].observed is None
    world.settle()
    assert entry.desired.uid not in world.entries
    assert isinstance(planner.after_error(entry, "x", world.now), ImageObserved)


def test_older_data_never_stops_planning() -> None:
    world = World()
    world.put(NGINX, {"reference": "NOT a reference"})
    entry = world.put(WEB, {"image": "::"})
    plan = world.plan()
    assert [step.id for step in plan.steps if step.action == "pull"] == ["pull NOT a reference", "pull ::"]
    assert planner.status(world.the(NGINX), plan, world.now).phase == "Pending"
    assert planner.status(entry, plan, world.now).phase == "Pending"
    assert not _asks_for_users(world.the(NGINX))


def spec(number: int) -> dict[str, Any]:
    return {
        "image": "nginx",
        "env": [{"name": "A", "value": str(number)}, {"name": "B", "value": "x"}],
        "ports": [{"containerPort": 80, "hostPort": 8000 + number}],
        "dependsOn": [{"name": f"c{number - 1:05}"}] if number % 10 else [],
        "resources": {"limits": {"memory": "64Mi"}},
    }


def many(size: int) -> tuple[World, View]:
    """A view of ``size`` running containers, and the world that holds the first of them."""
    world = World()
    first = Key("Container", "default", "c00000")
    world.put(first, spec(0))
    world.settle()
    pattern, observed = world.the(first).desired, world.container(first)
    live = {DEFAULT_NETWORK: world.the(DEFAULT_NETWORK)}
    for number in range(size):
        key = Key("Container", "default", f"c{number:05}")
        made = msgspec.structs.replace(observed.incarnation, written=spec(number))  # type: ignore[type-var]
        live[key] = Entry(
            desired=msgspec.structs.replace(pattern, key=key, uid=f"uid-{number}", spec=spec(number)),
            observed=msgspec.structs.replace(observed, incarnation=made),
        )
    return world, View(live=live, terminating={}, images=dict(world.images))


def calls(work: Callable[[], Any]) -> int:
    """How many functions ``work`` calls, those in C too: its work, however busy the machine is."""
    count = 0

    def counted(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(counted)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def one_changed(size: int) -> tuple[World, View, Key]:
    """As ``many``; the container in the middle is to be made anew, and one depends on it."""
    world, view = many(size)
    key = Key("Container", "default", f"c{size // 2 + 5:05}")
    entry = view.live[key]
    view.live[key] = Entry(
        desired=msgspec.structs.replace(entry.desired, spec={**entry.desired.spec, "user": "1"}),
        observed=entry.observed,
    )
    return world, view, key


def test_nothing_to_do_costs_little_for_each_object() -> None:
    world, view = many(10_000)
    assert planner.plan(view, None, world.now).steps == ()
    assert calls(lambda: planner.plan(view, None, world.now)) < 10_000 * EACH


def test_a_change_among_many_costs_what_it_costs_among_few() -> None:
    (world, few, at_few), (_, view, key) = one_changed(100), one_changed(10_000)
    assert len(planner.plan(view, None, world.now).steps) == len(planner.plan(few, None, world.now).steps) == 4
    assert calls(lambda: planner.plan(view, None, world.now)) < 10_000 * EACH + ONE_CHANGE
    alone = calls(lambda: planner.plan(few, [at_few], world.now))
    assert calls(lambda: planner.plan(view, [key], world.now)) <= alone * 1.05
    assert alone < ONE_CHANGE
    assert isinstance(view.live[key].observed, ContainerObserved)
