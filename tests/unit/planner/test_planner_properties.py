"""Whatever happens to a host, plans are sound, stable, and lead to a state where there is nothing left to do."""

from __future__ import annotations

import copy
import random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler import planner
from reconciler.kinds.container.observed import ContainerObserved
from reconciler.model.keys import Key
from reconciler.model.plan import Plan
from reconciler.model.view import DEFAULT_NETWORK, View
from reconciler.testing.world import World

CONTAINERS = [Key("Container", "default", name) for name in "abcd"]
NETWORKS = [Key("Network", "default", name) for name in ("n", "m")]
#: what may be waited for when all is quiet: something that only people can change
LASTING = {"Stopped", "NetworkMissing", "DependencyMissing", "DependencyNotStarted", "InUse"}
IMAGES = [Key("Image", "", name) for name in "xy"]
SLOW = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)

in_place_fields: dict[str, st.SearchStrategy[Any]] = {
    "ports": st.lists(
        st.fixed_dictionaries({"containerPort": st.integers(80, 82), "hostPort": st.integers(8080, 8082)}), max_size=2
    ),
    "resources": st.fixed_dictionaries(
        {"limits": st.fixed_dictionaries({}, optional={"memory": st.sampled_from(["64Mi", "1Gi"])})}
    ),
    "restartPolicy": st.sampled_from(["Always", "OnFailure", "Never"]),
    "stopSignal": st.sampled_from(["SIGTERM", "SIGINT"]),
    "terminationGracePeriodSeconds": st.integers(0, 20),
}
specs = st.fixed_dictionaries(
    {"image": st.sampled_from(["one", "two", "docker.io/library/one:latest"])},
    optional={
        **in_place_fields,
        "env": st.lists(
            st.fixed_dictionaries({"name": st.sampled_from("AB")}, optional={"value": st.sampled_from("12")}),
            max_size=2,
        ),
        "dependsOn": st.lists(
            st.fixed_dictionaries({"name": st.sampled_from("abcdz")}), max_size=2, unique_by=lambda d: d["name"]
        ),
        "networks": st.lists(
            st.fixed_dictionaries({"name": st.sampled_from(["n", "m", "default"])}),
            max_size=2,
            unique_by=lambda d: d["name"],
        ),
    },
)
network_specs = st.fixed_dictionaries(
    {}, optional={"subnet": st.sampled_from(["10.1.0.0/24", "10.2.0.0/24"]), "mtu": st.sampled_from([1400, 1500])}
)
container = st.sampled_from(CONTAINERS)
labels = st.dictionaries(st.sampled_from("lm"), st.sampled_from("12"), max_size=2)
operation = st.one_of(
    st.tuples(st.just("put"), container, specs, labels),
    st.tuples(st.just("put"), st.sampled_from(NETWORKS), network_specs),
    st.tuples(
        st.just("put"),
        st.sampled_from(IMAGES),
        st.fixed_dictionaries({"reference": st.sampled_from(["one", "two"])}),
    ),
    st.tuples(st.just("delete"), st.sampled_from([*CONTAINERS, *NETWORKS, *IMAGES])),
    st.tuples(st.just("stop"), container),
    st.tuples(st.just("restart"), container),
    st.tuples(st.just("exit"), container, st.sampled_from([0, 1, None])),
    st.tuples(st.just("drift"), container, st.sampled_from(["ports", "rootfs", "limits"])),
    st.tuples(st.just("drift"), st.sampled_from([DEFAULT_NETWORK, *NETWORKS]), st.sampled_from(["bridge", "rules"])),
    st.tuples(st.just("reboot")),
    st.tuples(st.just("tick"), st.sampled_from([0.5, 5.0, 700.0])),
    st.tuples(
        st.just("fail"), st.sampled_from(["pull", "create", "start", "stop", "remove", "network_create", "repair"])
    ),
    st.tuples(st.just("mend")),
    st.tuples(st.just("settle")),
    st.tuples(st.just("reconcile"), st.sampled_from([*CONTAINERS, *NETWORKS, *IMAGES, DEFAULT_NETWORK])),
    st.tuples(st.just("die"), st.integers(1, 6)),
)


#: most things happen to a host that holds something
beginnings = st.tuples(
    *(st.tuples(st.just("put"), st.just(key), network_specs) for key in NETWORKS),
    *(st.tuples(st.just("put"), st.just(key), specs, labels) for key in CONTAINERS),
    st.sampled_from([("settle",), ("mend",)]),
).map(list)
histories = st.builds(
    lambda beginning, rest: [*beginning, *rest],
    st.one_of(st.just([]), beginnings, beginnings),
    st.lists(operation, min_size=1, max_size=30),
)


def perform(world: World, operation: tuple[Any, ...]) -> None:
    """One thing that people, the host or the loop do; nothing if its object is not there."""
    name, *args = operation
    if name in ("delete", "stop", "restart", "exit", "drift") and world.find(args[0]) is None:
        return
    if name == "fail":
        world.fails[args[0]] = "it fails"
    elif name == "mend":
        world.fails.clear()
    elif name == "die":
        # the daemon dies after some steps of a plan for everything
        for step in world.plan().steps[: args[0]]:
            if not world.run(step):
                break
    else:
        getattr(world, name)(*args)


def come_to_rest(world: World) -> Plan:
    """Settles, passing the time that waits ask for; the plan then has no steps and waits for no moment."""
    for _ in range(60):
        plan = world.settle()
        deadlines = [wait.until_mono for wait in plan.waits if wait.until_mono]
        if not deadlines:
            return plan
        world.tick(min(deadlines) - world.now.mono)
    raise AssertionError("waits without end:\n" + planner.text(world.plan()))


def shuffled(view: View, seed: int) -> View:
    live = list(view.live.items())
    random.Random(seed).shuffle(live)
    return View(
        live=dict(live),
        terminating=dict(reversed(view.terminating.items())),
        images=dict(reversed(view.images.items())),
    )


def assert_sound(world: World) -> None:
    """Ids are unique, a step stands after what it needs, equal inputs give equal text, a host can carry it all out."""
    plan = world.plan()
    seen: set[str] = set()
    for step in plan.steps:
        assert step.id not in seen
        assert set(step.after) <= seen, (step.id, step.after)
        seen.add(step.id)
    assert planner.text(planner.plan(shuffled(world.view(), 7), None, world.now)) == planner.text(plan)
    trial = copy.deepcopy(world)
    trial.fails.clear()
    trial.carry_out(plan)


@SLOW
@given(histories)
def test_any_history_comes_to_rest(history: list[tuple[Any, ...]]) -> None:
    world = World()
    for operation in history:
        perform(world, operation)
        assert_sound(world)
    world.fails.clear()
    plan = come_to_rest(world)
    assert plan.steps == ()
    reasons = {wait.reason for wait in plan.waits}
    # a member of a cycle that runs is left alone, and so is what it holds
    assert reasons <= LASTING or "DependencyCycle" in reasons, reasons
    waiting = {wait.key for wait in plan.waits}
    for entry in world.entries.values():
        desired, observed = entry.desired, entry.observed
        assert desired.deleting_at is None or desired.key in waiting
        if isinstance(observed, ContainerObserved) and desired.key not in waiting:
            assert observed.phase in ("Running", "Succeeded", "Failed"), observed.phase
            assert observed.phase == "Running" or desired.spec.get("restartPolicy", "Always") != "Always"
        assert observed is not None
        assert observed.observed_generation == desired.generation
        assert observed.error == ""


@SLOW
@given(histories)
def test_plan_of_everything_leads_to_the_same_rest(history: list[tuple[Any, ...]]) -> None:
    """Carrying out whole plans, as ``diff`` shows them, ends where the loop's piecemeal work ends."""
    world = World()
    for operation in history:
        perform(world, operation)
    world.fails.clear()
    world.tick(1000)
    other = copy.deepcopy(world)
    for _ in range(8):
        world.carry_out(world.plan())
    assert world.plan().steps == ()
    come_to_rest(other)
    assert outline(world) == outline(other)


def outline(world: World) -> dict[str, Any]:
    """What of a world does not depend on the order in which it came about."""
    return {
        uid: (entry.observed.process, entry.observed.incarnation.written)
        for uid, entry in world.entries.items()
        if isinstance(entry.observed, ContainerObserved) and entry.observed.incarnation is not None
    }


@SLOW
@given(specs, st.fixed_dictionaries({}, optional=in_place_fields), labels)
def test_in_place_fields_restart_nothing(spec: dict[str, Any], change: dict[str, Any], labels: dict[str, str]) -> None:
    world, key = World(), CONTAINERS[0]
    spec = {name: value for name, value in spec.items() if name not in ("dependsOn", "networks")}
    world.put(key, spec)
    world.settle()
    pid = world.container(key).pid
    kept = {name: value for name, value in spec.items() if name not in in_place_fields}
    world.put(key, {**kept, **change}, labels)
    plan = world.plan()
    assert {step.action for step in plan.steps} <= {"update"}
    assert not any(step.restarts or step.loses_data for step in plan.steps)
    world.settle()
    assert world.container(key).pid == pid != 0


@SLOW
@given(specs, specs)
def test_every_other_change_is_made(before: dict[str, Any], after: dict[str, Any]) -> None:
    """What runs in the end was made from the wanted spec: nothing that matters was overlooked."""
    world, fresh, key = World(), World(), CONTAINERS[0]
    for place in (world, fresh):
        for network in NETWORKS:
            place.put(network, {})
    depends_on_nobody = {name: value for name, value in before.items() if name != "dependsOn"}
    world.put(key, depends_on_nobody)
    world.settle()
    wanted = {name: value for name, value in after.items() if name != "dependsOn"}
    world.put(key, wanted)
    world.settle()
    fresh.put(key, wanted)
    fresh.settle()
    found, expected = world.container(key).incarnation, fresh.container(key).incarnation
    assert found is not None
    assert expected is not None
    assert _meaning(found.effective) == _meaning(expected.effective)


def _meaning(spec: Any) -> Any:
    """A spec without what makes no difference: the order of named elements, the spelling of the image."""
    image = spec.image.removeprefix("docker.io/library/").removesuffix(":latest")
    env = (
        spec.env
        if len({item.name for item in spec.env}) < len(spec.env)
        else tuple(sorted(spec.env, key=lambda e: e.name))
    )
    ports = tuple(sorted(spec.ports, key=lambda port: (port.container_port, port.host_port)))
    return (image, env, ports, spec.networks, spec.resources, spec.restart_policy, spec.stop_signal)


def test_applied_twice_changes_nothing() -> None:
    world = World()
    for key in CONTAINERS:
        world.put(key, {"image": "one", "env": [{"name": "A", "value": "1"}]})
    world.settle()
    before = dict(world.entries)
    for key in CONTAINERS:
        world.put(key, {"env": [{"value": "1", "name": "A"}], "image": "one"})
    world.settle()
    assert world.entries == before
