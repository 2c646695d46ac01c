"""Phases and conditions."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from reconciler import planner
from reconciler.kinds.container.observed import ContainerObserved
from reconciler.model.keys import Key
from reconciler.model.observed import Condition
from reconciler.model.view import DEFAULT_NETWORK, Entry
from reconciler.testing.world import World

WEB = Key("Container", "default", "web")
DB = Key("Container", "default", "db")
NGINX = Key("Image", "", "nginx")


def spec(**fields: Any) -> dict[str, Any]:
    return {"image": "nginx", **fields}


def said(world: World, key: Key = WEB) -> tuple[str, str, str, str]:
    """Phase, and Ready's status, reason and message."""
    status = world.status(key)
    ready = status.conditions[0]
    assert ready.type == "Ready"
    return status.phase, ready.status, ready.reason, ready.message


@pytest.fixture
def world() -> World:
    world = World()
    world.put(WEB, spec())
    return world


@pytest.fixture
def running(world: World) -> World:
    world.settle()
    return world


def test_life_of_a_container(world: World) -> None:
    assert said(world) == ("Pending", "False", "Pulling", "pull docker.io/library/nginx:latest")
    assert said(world, DEFAULT_NETWORK) == ("Pending", "False", "Pending", "")
    world.run(world.plan().steps[0])
    assert said(world, DEFAULT_NETWORK) == ("Active", "True", "Active", "")
    world.run(world.plan().steps[0])
    assert said(world) == ("Creating", "False", "Creating", "there is no container yet")
    world.settle()
    assert said(world) == ("Running", "True", "Running", "")
    world.delete(WEB)
    gone = next(entry for entry in world.entries.values() if entry.desired.key == WEB)
    assert planner.status(gone, world.plan(WEB), world.now).phase == "Terminating"


def test_generation_is_what_was_planned_for(running: World) -> None:
    running.put(WEB, spec(user="1"))
    assert said(running) == ("Running", "False", "Updating", "its spec has changed")
    assert running.status(WEB).observed_generation == 2
    running.settle()
    assert said(running) == ("Running", "True", "Running", "")


def test_an_update_in_place_leaves_it_ready(running: World) -> None:
    running.put(WEB, spec(ports=[{"containerPort": 80, "hostPort": 80}]))
    running.drift(WEB, "veth")
    assert said(running)[:3] == ("Running", "True", "Running")


def test_a_running_container_stays_ready_when_a_change_in_place_fails(running: World) -> None:
    running.put(WEB, spec(ports=[{"containerPort": 80, "hostPort": 80}]))
    running.fails["update"] = "port 80 is taken"
    running.settle()
    assert said(running) == ("Running", "True", "Running", "")
    told = next(each for each in running.status(WEB).conditions if each.type == "UpToDate")
    assert (told.status, told.reason, told.message) == ("False", "Error", "port 80 is taken")


def test_ends(world: World) -> None:
    world.put(WEB, spec(restartPolicy="Never"))
    world.settle()
    world.exit(WEB, 0)
    assert said(world) == ("Succeeded", "False", "Completed", "it exited with code 0")
    world.restart(WEB)
    world.settle()
    world.exit(WEB, 4)
    assert said(world) == ("Failed", "False", "Failed", "it exited with code 4")


def test_back_off(running: World) -> None:
    for _ in range(2):
        running.tick(30)
        running.settle()
        running.exit(WEB, 1)
    phase, ready, reason, _ = said(running)
    assert (phase, ready, reason) == ("BackOff", "False", "CrashLoopBackOff")


def test_error(world: World) -> None:
    world.fails["create"] = "no space left on device"
    world.settle()
    assert said(world) == ("BackOff", "False", "Error", "no space left on device")
    world.fails.clear()
    world.tick(2)
    world.settle()
    observed = world.container(WEB)
    assert (observed.phase, observed.error, observed.error_count, observed.retry_mono) == ("Running", "", 0, 0.0)


def test_stopped(running: World) -> None:
    running.stop(WEB)
    assert said(running)[:3] == ("Running", "False", "Stopped")
    running.settle()
    assert said(running)[:3] == ("Stopped", "False", "Stopped")


def test_waits_for_others(world: World) -> None:
    world.put(WEB, spec(dependsOn=[{"name": "db"}]))
    world.settle()
    assert said(world) == ("Pending", "False", "DependencyMissing", "container/default/db does not exist")


def test_conmon_is_gone(running: World) -> None:
    entry = running.the(WEB)
    lost = msgspec.structs.replace(running.container(WEB), supervised=False)
    running.entries[entry.desired.uid] = Entry(desired=entry.desired, observed=lost)
    ready, supervised = running.status(WEB).conditions
    assert ready.status == "True"
    assert (supervised.type, supervised.status, supervised.reason) == ("Supervised", "False", "MonitorGone")


def test_image(world: World) -> None:
    world.put(NGINX, {"reference": "nginx"})
    twin = Key("Image", "", "twin")
    world.put(twin, {"reference": "docker.io/nginx"})
    assert said(world, NGINX)[:3] == said(world, twin)[:3] == ("Pending", "False", "Pulling")
    world.fails["pull"] = "unauthorized"
    world.settle()
    assert said(world, NGINX) == ("Failed", "False", "Error", "unauthorized")
    world.fails.clear()
    world.tick(5)
    world.settle()
    assert said(world, NGINX) == said(world, twin) == ("Present", "True", "Present", "")


def test_network_that_cannot_go(running: World) -> None:
    back = Key("Network", "default", "back")
    running.put(back, {})
    running.put(DB, spec(networks=[{"name": "back"}]))
    running.settle()
    running.delete(back)
    gone = next(entry for entry in running.entries.values() if entry.desired.key == back)
    status = planner.status(gone, running.plan(back), running.now)
    assert (status.phase, status.conditions[0].reason) == ("Terminating", "InUse")
    assert status.conditions[0].message == "used by container/default/db"


def test_transition_time_is_that_of_the_status(running: World) -> None:
    began = running.container(WEB).conditions[0].last_transition_time
    running.tick(30)
    assert running.status(WEB) == running.container(WEB)
    running.put(WEB, spec(dependsOn=[{"name": "db"}], user="1"))
    changed = running.now.wall
    assert changed > began
    first = running.status(WEB)
    assert first.conditions == (
        Condition(
            type="Ready",
            status="False",
            reason="DependencyMissing",
            message="container/default/db does not exist",
            last_transition_time=changed,
        ),
    )
    running.reconcile(WEB)
    running.tick(30)
    running.put(DB, spec(dependsOn=[{"name": "nobody"}]))
    second = running.status(WEB).conditions[0]
    assert (second.reason, second.last_transition_time) == ("DependencyNotStarted", changed)


def test_after_a_reboot_nothing_runs(running: World) -> None:
    before = running.the(WEB)
    assert isinstance(before.observed, ContainerObserved)
    running.reboot()
    status = planner.status(before, planner.plan(running.view(), [WEB], running.now), running.now)
    assert isinstance(status, ContainerObserved)
    assert (status.process, status.pid, status.phase) == ("absent", 0, "Creating")
