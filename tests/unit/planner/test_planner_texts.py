"""What plans say, as literal text: one case a situation."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from reconciler import planner
from reconciler.model.keys import Key
from reconciler.model.view import DEFAULT_NETWORK, Entry, View
from reconciler.testing.world import World

WEB = Key("Container", "default", "web")
DB = Key("Container", "default", "db")
BACK = Key("Network", "default", "back")
NGINX = Key("Image", "", "nginx")
REFERENCE = "docker.io/library/nginx:latest"


def spec(**fields: Any) -> dict[str, Any]:
    return {"image": "nginx", **fields}


def text(world: World, *keys: Key) -> str:
    return planner.text(world.plan(*keys))


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def running(world: World) -> World:
    """One container that runs."""
    world.put(WEB, spec(env=[{"name": "LOG", "value": "a"}], ports=[{"containerPort": 80, "hostPort": 8080}]))
    world.settle()
    return world


def test_first_container(world: World) -> None:
    world.put(WEB, spec())
    assert text(world) == (
        "network_create network/default/default: it has not been made yet\n"
        "pull docker.io/library/nginx:latest: the image docker.io/library/nginx:latest is not here\n"
        "create container/default/web: there is no container yet\n"
        "start container/default/web: there is no container yet\n"
    )
    create, start = world.plan().steps[2:]
    assert create.after == (f"pull {REFERENCE}", "network_create network/default/default")
    assert start.after == ("create container/default/web", "network_create network/default/default")
    assert start.args == {"counts": False}


def test_nothing_to_do(running: World) -> None:
    assert text(running) == "nothing to do\n"
    assert text(running, WEB) == "nothing to do\n"


def test_create_names_the_image(running: World) -> None:
    running.put(DB, spec())
    assert running.plan(DB).steps[0].args == {"image": running.images[REFERENCE].image_id}


def test_change_that_needs_a_new_container(running: World) -> None:
    running.put(
        WEB,
        spec(
            image="nginx:1.27",
            env=[{"name": "LOG", "value": "b"}, {"name": "NEW", "value": "x"}],
            ports=[{"containerPort": 80, "hostPort": 8081}],
        ),
    )
    assert text(running) == (
        "pull docker.io/library/nginx:1.27: the image docker.io/library/nginx:1.27 is not here\n"
        "stop container/default/web: its spec has changed (restarts it)\n"
        '    spec.image: "nginx" → "nginx:1.27"\n'
        '    spec.env[LOG].value: "a" → "b"\n'
        '    spec.env[NEW]: none → {"name": "NEW", "value": "x"}\n'
        "    spec.ports[80/TCP].hostPort: 8080 → 8081\n"
        "remove container/default/web: its spec has changed (its writable layer is lost)\n"
        "create container/default/web: its spec has changed\n"
        "start container/default/web: its spec has changed\n"
    )
    stop, remove = running.plan().steps[1:3]
    assert stop.args == {"signal": 15, "grace": 10}
    assert remove.args == {"incarnation": running.container(WEB).incarnation.id, "final": False}  # type: ignore[union-attr]


def test_change_in_place(running: World) -> None:
    running.put(
        WEB,
        spec(
            env=[{"name": "LOG", "value": "a"}],
            ports=[{"containerPort": 80, "hostPort": 8081}],
            resources={"limits": {"memory": "64Mi"}},
            restartPolicy="OnFailure",
            stopSignal="SIGINT",
            terminationGracePeriodSeconds=3,
        ),
        labels={"app": "web"},
    )
    assert text(running) == (
        "update container/default/web: labels, ports, resources, restartPolicy, stopSignal, "
        "terminationGracePeriodSeconds changed\n"
        '    metadata.labels[app]: none → "web"\n'
        "    spec.ports[80/TCP].hostPort: 8080 → 8081\n"
        '    spec.resources.limits.memory: none → "64Mi"\n'
        '    spec.restartPolicy: "Always" → "OnFailure"\n'
        '    spec.stopSignal: none → "SIGINT"\n'
        "    spec.terminationGracePeriodSeconds: 10 → 3\n"
    )


def test_another_spelling_of_the_image_restarts_nothing(running: World) -> None:
    changed = dict(running.the(WEB).desired.spec, image="docker.io/nginx:latest")
    running.put(WEB, changed)
    assert text(running) == (
        'update container/default/web: image changed\n    spec.image: "nginx" → "docker.io/nginx:latest"\n'
    )


def test_restart_after_exit(running: World) -> None:
    running.exit(WEB, 3)
    assert text(running) == "start container/default/web: it exited with code 3\n"
    assert running.plan().steps[0].args == {"counts": True}


@pytest.mark.parametrize(
    ("reason", "code", "words"),
    [
        ("oom", 137, "it ran out of memory"),
        ("signal", 137, "it was ended by signal 9"),
        ("unknown", None, "its process is gone"),
    ],
)
def test_ends_told_apart(running: World, reason: Any, code: int | None, words: str) -> None:
    running.exit(WEB, code, reason)
    assert text(running) == f"start container/default/web: {words}\n"


def test_crash_loop(running: World) -> None:
    for _ in range(3):
        running.tick(60)
        running.settle()
        running.exit(WEB, 1)
    running.tick(0.5)
    assert text(running) == (
        "wait container/default/web: CrashLoopBackOff: "
        "it exited with code 1; it is started again 2 s later, after 3 exits in a row\n"
    )
    assert running.plan().waits[0].until_mono == running.now.mono + 1.5
    running.tick(1.5)
    assert text(running) == "start container/default/web: it exited with code 1\n"


@pytest.mark.parametrize(("policy", "code", "starts"), [("OnFailure", 0, 0), ("OnFailure", 1, 1), ("Never", 1, 0)])
def test_restart_policy(world: World, policy: str, code: int, starts: int) -> None:
    world.put(WEB, spec(restartPolicy=policy))
    world.settle()
    world.exit(WEB, code)
    assert len(world.plan().steps) == starts


def test_never_does_not_start_again_what_was_removed_behind_our_back(world: World) -> None:
    world.put(WEB, spec(restartPolicy="Never"))
    world.settle()
    world.exit(WEB, None)
    assert text(world) == "nothing to do\n"


def test_stopped_by_hand(running: World) -> None:
    running.stop(WEB)
    waits = "wait container/default/web: Stopped: stopped by hand: `pydock start web` starts it\n"
    assert text(running) == "stop container/default/web: it was stopped by hand\n" + waits
    running.settle()
    running.put(WEB, spec(image="other"))
    assert text(running) == (
        waits + "warning: container/default/web was stopped by hand: its changes take effect when it is started\n"
    )
    running.put(WEB, spec(env=[{"name": "LOG", "value": "a"}], ports=[{"containerPort": 80, "hostPort": 8080}]))
    running.restart(WEB)
    assert text(running) == "start container/default/web: its restart was asked for\n"


def test_restart_by_hand(running: World) -> None:
    running.restart(WEB)
    assert text(running) == (
        "stop container/default/web: its restart was asked for (restarts it)\n"
        "start container/default/web: its restart was asked for\n"
    )
    running.settle()
    assert running.ran[-2:] == ["stop container/default/web", "start container/default/web"]
    assert running.container(WEB).restart_count == 0


def test_restart_by_hand_ignores_back_off_and_policy(world: World) -> None:
    world.put(WEB, spec(restartPolicy="Never"))
    world.settle()
    world.exit(WEB, 1)
    world.restart(WEB)
    assert text(world) == "start container/default/web: its restart was asked for\n"


def test_deletion(running: World) -> None:
    running.delete(WEB)
    assert text(running) == (
        "stop container/default/web: it is being deleted\n"
        "remove container/default/web: it is being deleted (its writable layer is lost)\n"
    )
    assert running.plan().steps[1].task.final is True


def test_successor_of_the_same_name(running: World) -> None:
    running.delete(WEB)
    running.put(WEB, spec())
    assert text(running, WEB) == (
        "stop container/default/web of uid-2: it is being deleted\n"
        "remove container/default/web of uid-2: it is being deleted (its writable layer is lost)\n"
        "create container/default/web: there is no container yet\n"
        "start container/default/web: there is no container yet\n"
    )
    create = running.plan(WEB).steps[2]
    assert create.after == ("remove container/default/web of uid-2",)
    running.fails["stop"] = "it hangs"
    running.carry_out(running.plan(WEB))
    assert text(running, WEB) == (
        "wait container/default/web: Error: it hangs\n"
        "wait container/default/web: NameTerminating: the former container/default/web is still being removed\n"
    )


def test_dependencies_first(world: World) -> None:
    world.put(WEB, spec(dependsOn=[{"name": "db"}]))
    world.put(DB, spec())
    world.carry_out(world.plan(DEFAULT_NETWORK))
    assert text(world, WEB) == (
        "pull docker.io/library/nginx:latest: the image docker.io/library/nginx:latest is not here\n"
        "create container/default/db: there is no container yet\n"
        "start container/default/db: there is no container yet\n"
        "create container/default/web: there is no container yet\n"
        "start container/default/web: there is no container yet\n"
    )
    assert world.plan(WEB).steps[-1].after == ("create container/default/web", "start container/default/db")


def test_dependency_that_cannot_start(world: World) -> None:
    world.put(WEB, spec(dependsOn=[{"name": "db"}, {"name": "gone"}]))
    world.put(DB, spec())
    world.stop(DB)
    world.settle()
    assert text(world, WEB) == (
        "wait container/default/db: Stopped: stopped by hand: `pydock start db` starts it\n"
        "wait container/default/web: DependencyNotStarted: container/default/db has not started\n"
        "wait container/default/web: DependencyMissing: container/default/gone does not exist\n"
    )
    assert world.plan(WEB).waits[1].on == (DB,)
    assert world.container(WEB).incarnation is not None


def test_dependency_that_did_its_work(world: World) -> None:
    """A job that ended well before the reboot does not run again, and what comes after it starts."""
    world.put(DB, spec(restartPolicy="OnFailure"))
    world.put(WEB, spec(dependsOn=[{"name": "db"}]))
    world.settle()
    world.exit(DB, 0)
    world.reboot()
    assert text(world) == (
        "network_repair network/default/default: missing or altered: address, bridge, rules\n"
        "start container/default/web: it has not been started\n"
    )


def test_running_container_waits_for_its_new_dependencies_before_it_is_stopped(running: World) -> None:
    running.put(WEB, spec(dependsOn=[{"name": "db"}]))
    assert text(running) == ("wait container/default/web: DependencyMissing: container/default/db does not exist\n")
    assert running.container(WEB).process == "running"


def test_cycle(world: World) -> None:
    world.put(DB, spec(dependsOn=[{"name": "web"}]))
    world.put(WEB, spec(dependsOn=[{"name": "db"}]))
    world.carry_out(world.plan(DEFAULT_NETWORK))
    path = "dependsOn forms a cycle: container/default/db → container/default/web → container/default/db"
    assert text(world, WEB) == (
        f"wait container/default/db: DependencyCycle: {path}\nwait container/default/web: DependencyCycle: {path}\n"
    )


def test_cycle_of_one(world: World) -> None:
    world.put(WEB, spec(dependsOn=[{"name": "web"}]))
    world.carry_out(world.plan(DEFAULT_NETWORK))
    assert text(world, WEB) == (
        "wait container/default/web: DependencyCycle: "
        "dependsOn forms a cycle: container/default/web → container/default/web\n"
    )


def test_members_of_a_cycle_that_run_go_on(running: World) -> None:
    running.put(DB, spec(dependsOn=[{"name": "web"}]))
    running.settle()
    running.put(WEB, dict(running.the(WEB).desired.spec, dependsOn=[{"name": "db"}]))
    running.settle()
    assert (running.container(WEB).process, running.container(DB).process) == ("running", "running")
    running.drift(WEB, "ports")
    assert text(running) == "repair container/default/web: missing or altered: ports\n"


def test_missing_network(world: World) -> None:
    world.put(WEB, spec(networks=[{"name": "back"}]))
    world.settle()
    assert text(world, WEB) == "wait container/default/web: NetworkMissing: network/default/back does not exist\n"
    world.put(BACK, {})
    world.settle()
    assert world.container(WEB).process == "running"


def test_default_network_of_the_namespace(world: World) -> None:
    own, other = Key("Network", "shop", "default"), Key("Container", "shop", "web")
    world.put(other, spec(networks=[{"name": "default"}]))
    world.settle()
    assert world.container(other).attachments[0].network_uid == world.the(DEFAULT_NETWORK).desired.uid
    world.put(own, {})
    assert text(world, other) == (
        "network_create network/shop/default: it has not been made yet\n"
        "stop container/shop/web: its networks have changed (restarts it)\n"
        "remove container/shop/web: its networks have changed (its writable layer is lost)\n"
        "create container/shop/web: its networks have changed\n"
        "start container/shop/web: its networks have changed\n"
    )


def test_network_in_error(world: World) -> None:
    world.put(WEB, spec())
    world.fails["network_create"] = "no such device"
    world.settle()
    assert text(world, WEB) == (
        "wait network/default/default: Error: no such device\n"
        "wait container/default/web: NetworkNotReady: network/default/default is not ready\n"
    )


def test_network_in_place(world: World) -> None:
    world.put(BACK, {"mtu": 1400})
    world.put(WEB, spec(networks=[{"name": "back"}]))
    world.settle()
    world.put(BACK, {"mtu": 1500, "internal": True})
    assert text(world) == (
        "network_update network/default/back: its spec has changed\n"
        "    spec.mtu: 1400 → 1500\n"
        "    spec.internal: false → true\n"
    )


def test_network_with_another_subnet(world: World) -> None:
    world.put(BACK, {"subnet": "10.1.0.0/24"})
    world.put(WEB, spec(networks=[{"name": "back"}]))
    world.settle()
    world.put(BACK, {"subnet": "10.2.0.0/24"})
    expected = (
        "network_update network/default/back: its spec has changed\n"
        '    spec.subnet: "10.1.0.0/24" → "10.2.0.0/24"\n'
        "stop container/default/web: its networks have changed (restarts it)\n"
        "remove container/default/web: its networks have changed (its writable layer is lost)\n"
        "create container/default/web: its networks have changed\n"
        "start container/default/web: its networks have changed\n"
    )
    assert text(world) == text(world, BACK) == text(world, WEB) == expected
    world.settle()
    assert world.container(WEB).attachments[0].gateway == "10.2.0.1"


def test_leased_subnet_is_kept(world: World) -> None:
    world.put(BACK, {"subnet": "10.1.0.0/24"})
    world.settle()
    world.put(BACK, {})
    assert text(world) == "nothing to do\n"
    world.put(BACK, {"gateway": "10.1.0.9"})
    assert text(world) == (
        'network_update network/default/back: its spec has changed\n    spec.gateway: "10.1.0.1" → "10.1.0.9"\n'
    )


def test_network_in_use_stays(world: World) -> None:
    world.put(BACK, {})
    world.put(WEB, spec(networks=[{"name": "back"}]))
    world.settle()
    world.delete(BACK)
    assert text(world) == "wait network/default/back: InUse: used by container/default/web\n"
    world.delete(WEB)
    assert text(world, BACK) == (
        "stop container/default/web: it is being deleted\n"
        "remove container/default/web: it is being deleted (its writable layer is lost)\n"
        "network_remove network/default/back: it is being deleted\n"
    )
    remove = world.plan(BACK).steps[-1]
    assert remove.after == ("remove container/default/web",)
    assert remove.args == {"bridge": f"br-{remove.uid}"}


def test_network_of_the_same_name_and_subnet(world: World) -> None:
    """The former network goes first, for which its containers must leave it."""
    world.put(BACK, {"subnet": "10.1.0.0/24"})
    world.put(WEB, spec(networks=[{"name": "back"}]))
    world.settle()
    world.delete(BACK)
    world.put(BACK, {"subnet": "10.1.0.0/24", "mtu": 1400})
    assert text(world) == (
        "stop container/default/web: its networks have changed (restarts it)\n"
        "remove container/default/web: its networks have changed (its writable layer is lost)\n"
        "wait network/default/back: InUse: used by container/default/web\n"
        "wait network/default/back: NameTerminating: the former network/default/back is still being removed\n"
        "wait container/default/web: NetworkNotReady: network/default/back is not ready\n"
    )
    assert text(world, WEB) == text(world)
    world.settle()
    assert world.container(WEB).process == "running"
    assert world.container(WEB).attachments[0].network_uid == world.the(BACK).desired.uid


def test_drift(running: World) -> None:
    running.drift(DEFAULT_NETWORK, "rules", "bridge")
    running.drift(WEB, "veth", "ports")
    assert text(running, WEB) == (
        "network_repair network/default/default: missing or altered: bridge, rules\n"
        "repair container/default/web: missing or altered: ports, veth\n"
    )
    network, container = running.plan(WEB).steps
    assert container.after == (network.id,)
    assert container.args == {"facets": ("ports", "veth")}


def test_left_half_way(running: World) -> None:
    """Created and not started when the daemon died."""
    running.exit(WEB, 0)
    uid = running.the(WEB).desired.uid
    half = msgspec.structs.replace(running.container(WEB), process="created")
    running.entries[uid] = Entry(desired=running.the(WEB).desired, observed=half)
    assert text(running) == "start container/default/web: it was created and not started\n"
    assert running.plan().steps[0].args == {"counts": True}
    first = msgspec.structs.replace(half, starts=0)
    running.entries[uid] = Entry(desired=running.the(WEB).desired, observed=first)
    assert running.plan().steps[0].args == {"counts": False}
    running.stop(WEB)
    assert text(running).startswith("stop container/default/web: it was stopped by hand\n")


def test_reboot(world: World) -> None:
    world.put(WEB, spec(dependsOn=[{"name": "db"}]))
    world.put(DB, spec(restartPolicy="Never"))
    world.settle()
    for _ in range(5):
        world.exit(WEB, 1)
        world.tick(100)
        world.settle()
    before = world.container(WEB).restart_count
    world.exit(WEB, 1)
    world.reboot()
    assert text(world, WEB) == (
        "network_repair network/default/default: missing or altered: address, bridge, rules\n"
        "start container/default/db: it has not been started\n"
        "start container/default/web: it has not been started\n"
    )
    world.settle()
    assert world.container(WEB).restart_count == before


def test_errors_hold_back_what_failed(running: World) -> None:
    running.drift(WEB, "limits")
    running.fails["repair"] = "cgroup is gone"
    running.settle()
    assert text(running) == "wait container/default/web: Error: cgroup is gone\n"
    running.exit(WEB, 1)
    assert text(running) == "start container/default/web: it exited with code 1\n"
    running.delete(WEB)
    assert running.plan().steps[-1].action == "remove"


def test_an_edit_tries_again_at_once(world: World) -> None:
    world.put(WEB, spec(command=["nonsense"]))
    world.fails["start"] = "no such file"
    world.settle()
    assert text(world, WEB) == "wait container/default/web: Error: no such file\n"
    world.put(WEB, spec(command=["sh"]))
    assert [step.action for step in world.plan(WEB).steps] == ["remove", "create", "start"]


def test_pull_backs_off_for_all_who_need_the_image(world: World) -> None:
    world.put(NGINX, {"reference": "nginx"})
    world.put(WEB, spec())
    assert [step.key for step in world.plan().steps if step.action == "pull"] == [NGINX]
    world.fails["pull"] = "connection refused"
    world.settle()
    assert text(world) == (
        "wait image/nginx: Error: connection refused\n"
        "wait container/default/web: ImagePullBackOff: connection refused\n"
    )
    assert world.plan().waits[1].until_mono == world.now.mono + 1


def test_running_container_goes_on_while_its_next_image_cannot_be_pulled(running: World) -> None:
    running.fails["pull"] = "manifest unknown"
    running.put(WEB, spec(image="nginx:2"))
    running.settle()
    assert text(running) == "wait container/default/web: Error: manifest unknown\n"
    assert running.container(WEB).process == "running"


def test_image_with_another_reference(world: World) -> None:
    world.put(NGINX, {"reference": "nginx:1"})
    world.settle()
    world.put(NGINX, {"reference": "nginx:2"})
    assert text(world, NGINX) == (
        "pull docker.io/library/nginx:2: the image docker.io/library/nginx:2 is not here\n"
        "untag image/nginx: its reference has changed to docker.io/library/nginx:2\n"
    )
    assert world.plan(NGINX).steps[1].args == {"reference": "docker.io/library/nginx:1", "keep": False}
    world.settle()
    assert sorted(world.images) == ["docker.io/library/nginx:2"]


def test_image_in_use_stays(running: World) -> None:
    running.put(NGINX, {"reference": "nginx"})
    running.settle()
    running.delete(NGINX)
    assert text(running) == "untag image/nginx: it is being deleted; the image stays, it is in use\n"
    running.settle()
    assert list(running.images) == [REFERENCE]


def test_image_goes_after_its_containers(running: World) -> None:
    running.put(NGINX, {"reference": "nginx"})
    running.settle()
    running.delete(NGINX)
    running.delete(WEB)
    assert text(running, NGINX) == (
        "stop container/default/web: it is being deleted\n"
        "remove container/default/web: it is being deleted (its writable layer is lost)\n"
        "untag image/nginx: it is being deleted\n"
    )
    assert running.plan(NGINX).steps[2].after == ("remove container/default/web",)


def test_new_default_restarts_nothing(running: World) -> None:
    """An incarnation of a version whose defaults were others: only what is written counts."""
    entry = running.the(WEB)
    observed = running.container(WEB)
    assert observed.incarnation is not None
    older = msgspec.structs.replace(observed.incarnation.effective, restart_policy="Never", working_dir="/old")
    made = msgspec.structs.replace(observed.incarnation, effective=older)
    view = running.view()
    view.live[WEB] = Entry(desired=entry.desired, observed=msgspec.structs.replace(observed, incarnation=made))
    assert planner.text(planner.plan(view, [WEB], running.now)) == "nothing to do\n"
    wanted = dict(entry.desired.spec, restartPolicy="Always")
    view.live[WEB] = Entry(
        desired=msgspec.structs.replace(entry.desired, spec=wanted),
        observed=msgspec.structs.replace(observed, incarnation=made),
    )
    assert planner.text(planner.plan(view, [WEB], running.now)) == (
        'update container/default/web: restartPolicy changed\n    spec.restartPolicy: "Never" → "Always"\n'
    )


def test_order_of_networks_counts_and_of_other_lists_does_not(world: World) -> None:
    world.put(BACK, {})
    env, networks = [{"name": "A", "value": "1"}, {"name": "B"}], [{"name": "back"}, {"name": "default"}]
    world.put(WEB, spec(env=env, networks=networks))
    world.settle()
    world.put(WEB, spec(env=env[::-1], networks=networks))
    assert text(world) == "nothing to do\n"
    world.put(WEB, spec(env=env, networks=networks[::-1]))
    assert (
        '    spec.networks: [{"name": "back"}, {"name": "default"}] → [{"name": "default"}, {"name": "back"}]\n'
        in text(world)
    )


def test_dependency_that_is_made_anew_comes_back_first(world: World) -> None:
    world.put(DB, spec())
    world.put(WEB, spec(dependsOn=[{"name": "db"}]))
    world.settle()
    world.put(DB, spec(user="1"))
    world.put(WEB, spec(user="1", dependsOn=[{"name": "db"}]))
    plan = world.plan(WEB)
    assert [step.id for step in plan.steps] == [
        f"{action} {key}" for key in (DB, WEB) for action in ("stop", "remove", "create", "start")
    ]
    assert plan.steps[4].after == ("start container/default/db",)


def test_network_successor_follows_an_unused_network(world: World) -> None:
    world.put(BACK, {})
    world.settle()
    world.delete(BACK)
    world.put(BACK, {})
    remove, create = world.plan(BACK).steps
    assert remove.id == f"network_remove network/default/back of {remove.uid}"
    assert create.after == (remove.id,)


def test_container_that_is_stopped_or_done_holds_no_network(world: World) -> None:
    world.put(BACK, {})
    world.put(WEB, spec(networks=[{"name": "back"}]))
    world.put(DB, spec(networks=[{"name": "back"}], restartPolicy="Never"))
    world.settle()
    world.exit(DB, 0)
    world.stop(WEB)
    world.settle()
    world.delete(BACK)
    assert [step.action for step in world.plan().steps] == ["network_remove"]
    world.settle()
    world.restart(WEB)
    assert text(world) == "wait container/default/web: NetworkMissing: network/default/back does not exist\n"


def test_container_that_will_be_back_holds_its_network(world: World) -> None:
    world.put(BACK, {})
    world.put(WEB, spec(networks=[{"name": "back"}]))
    world.settle()
    world.exit(WEB, 1)
    world.delete(BACK)
    assert "wait network/default/back: InUse: used by container/default/web\n" in text(world)


def test_labels_alone(running: World) -> None:
    running.put(WEB, running.the(WEB).desired.spec, {"tier": "front"})
    assert text(running) == (
        'update container/default/web: labels changed\n    metadata.labels[tier]: none → "front"\n'
    )


def test_running_in_another_boot_is_not_running(running: World) -> None:
    """The store may still say so when the daemon has not looked yet."""
    view = running.view()
    running.reboot()
    assert planner.text(planner.plan(view, [WEB], running.now)) == (
        "network_repair network/default/default: missing or altered: address, bridge, rules\n"
        "start container/default/web: it has not been started\n"
    )


def test_stop_signal_of_the_image(running: World) -> None:
    facts = running.images[REFERENCE]
    running.images[REFERENCE] = msgspec.structs.replace(facts, stop_signal="SIGQUIT")
    running.delete(WEB)
    assert running.plan().steps[0].task.signal == 3


def test_json(running: World) -> None:
    running.restart(WEB)
    shown = planner.to_json(running.plan())
    assert shown["restarts"] == ["container/default/web"]
    assert shown["losesData"] == []
    assert [step["id"] for step in shown["steps"]] == ["stop container/default/web", "start container/default/web"]
    assert shown["steps"][1]["after"] == ["stop container/default/web"]
    assert msgspec.json.decode(msgspec.json.encode(shown)) == shown


def test_a_view_without_the_default_network(world: World) -> None:
    world.put(WEB, spec())
    view = View(live={WEB: world.the(WEB)}, terminating={}, images={})
    assert planner.text(planner.plan(view, [WEB], world.now)) == (
        "pull docker.io/library/nginx:latest: the image docker.io/library/nginx:latest is not here\n"
        "wait container/default/web: NetworkMissing: network/default/default does not exist\n"
    )
