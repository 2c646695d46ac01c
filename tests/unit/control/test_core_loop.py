"""The loop on drivers in memory: it comes to rest, tries again what failed, and says what it did."""

from __future__ import annotations

import msgspec
import pytest

from reconciler import errors
from reconciler.control.observer import Observer
from reconciler.control.reconcile import Reconciler
from reconciler.kinds.image.tasks import Pull
from reconciler.kinds.network.observed import NetworkObserved
from reconciler.model.keys import Key
from reconciler.model.objects import Owner
from reconciler.model.plan import Plan, Step
from reconciler.model.view import DEFAULT_NETWORK, View
from reconciler.testing.loop import IMAGE, Loop, container, container_key, network

WEB, OTHER = container_key("web"), container_key("other")


def test_a_container_runs_and_looking_again_does_nothing(loop: Loop) -> None:
    loop.apply(container("web"))
    assert loop.observed("web").process == "running"
    jobs = len(loop.jobs(WEB))
    loop.look(WEB, closely=True)
    assert len(loop.jobs(WEB)) == jobs


class TestFailures:
    def test_a_create_that_failed_half_way_is_gone_on_with(self, loop: Loop) -> None:
        port = [{"containerPort": 80, "hostPort": 8080}]
        loop.apply(container("web", ports=port))
        loop.apply(container("other", ports=port))
        assert loop.ready(OTHER)[:2] == ("False", "Error")
        assert OTHER in loop.reconciler.queue.pending()
        loop.delete(WEB)
        loop.pass_time(400)
        assert loop.observed("other").process == "running"

    def test_a_taken_port_names_the_container_that_has_it(self, loop: Loop) -> None:
        port = [{"containerPort": 80, "hostPort": 8080}]
        loop.apply(container("web", ports=port))
        loop.apply(container("other", ports=port))
        assert "container/default/web" in loop.ready(OTHER)[2]

    def test_a_failing_step_is_tried_again_later_and_not_at_once(self, loop: Loop) -> None:
        loop.apply(container("web", image="registry.example/missing:1"))
        loop.settle()
        assert loop.looks[WEB] < 10
        assert [job.attempt for job in loop.jobs(WEB) if job.name == "pull"] == [1]
        loop.pass_time(2)
        loop.pass_time(4)
        assert [job.attempt for job in loop.jobs(WEB) if job.name == "pull"] == [1, 2, 3]

    def test_an_edit_while_a_step_fails_is_not_held_back(self, loop: Loop) -> None:
        missing = "registry.example/missing:1"
        resolve = loop.registry.resolve

        def edited_meanwhile(reference: object, platform: str) -> object:
            if str(reference) == missing:
                loop.ask("apply", document=container("web"), manager="test")
            return resolve(reference)  # type: ignore[arg-type]

        loop.registry.resolve = edited_meanwhile  # type: ignore[method-assign,assignment]
        loop.apply(container("web", image=missing))
        assert loop.observed("web").process == "running"
        assert loop.ready(WEB)[0] == "True"

    def test_what_the_end_of_the_daemon_refuses_is_no_failure(self, loop: Loop) -> None:
        loop.ask("apply", document=container("web"), manager="test")
        loop.engine.shutdown(0.0)
        loop.settle()
        assert loop.entry(WEB).observed is None
        assert loop.events(WEB) == []

    def test_a_repair_that_does_not_hold_backs_off(self, loop: Loop) -> None:
        loop.apply(container("web"))
        uid = loop.entry(WEB).desired.uid
        ensure = loop.network.ensure_endpoint

        def useless(config: object) -> str:
            name = ensure(config)  # type: ignore[arg-type]
            loop.network.host.damage_endpoint("test", uid, "route")
            return name

        loop.network.ensure_endpoint = useless  # type: ignore[method-assign,assignment]
        loop.network.host.damage_endpoint("test", uid, "route")
        for _ in range(5):
            loop.look(WEB, closely=True)
        assert len([job for job in loop.jobs(WEB) if job.name == "repair"]) == 1
        assert "route" in loop.observed("web").error

    def test_drift_that_cannot_be_looked_at_stops_nothing_else(self, loop: Loop) -> None:
        loop.apply(container("web"))

        def broken(networks: object, endpoints: object) -> object:
            raise errors.Temporary("nftables: busy")

        loop.network.drift = broken  # type: ignore[method-assign,assignment]
        loop.ask("delete", kind="Container", namespace="default", name="web")
        loop.look(WEB, closely=True)
        assert not loop.exists(WEB)

    def test_a_repair_waits_for_nothing_that_is_whole_already(self, loop: Loop) -> None:
        """Another repaired the network since its damage was noted: what waited for its repair goes on."""
        loop.apply(container("web", resources={"limits": {"memory": "64Mi"}}))
        network = loop.entry(DEFAULT_NETWORK)
        assert isinstance(network.observed, NetworkObserved)
        with loop.store.transaction() as session:
            session.observed.put(network.desired.uid, msgspec.structs.replace(network.observed, drift=("rules",)))
        (run,) = loop.world.runs.values()
        wanted, run.limits = run.limits, msgspec.structs.replace(run.limits, memory=32 << 20)
        loop.reconciler.look([WEB, DEFAULT_NETWORK], closely=True)
        loop.settle()
        assert run.limits == wanted
        assert [job.name for job in loop.jobs(DEFAULT_NETWORK)] == ["declare", "network_create"]


class TestNetworks:
    def test_a_namespace_with_a_network_default_of_its_own_comes_to_rest(self, loop: Loop) -> None:
        loop.apply(network("default", namespace="prod"))
        loop.apply(container("web", namespace="prod"))
        assert loop.observed("web", "prod").process == "running"
        assert len([job for job in loop.jobs(container_key("web", "prod")) if job.name == "create"]) == 1

    def test_a_deleted_network_waits_for_its_user_at_rest(self, loop: Loop) -> None:
        loop.apply(network("net"))
        loop.apply(container("web", networks=[{"name": "net"}]))
        key = Key("Network", "default", "net")
        loop.delete(key)
        assert loop.exists(key)
        assert loop.observed("web").process == "running"
        loop.delete(WEB)
        assert not loop.exists(key)

    def test_the_own_network_goes_with_the_last_container(self, loop: Loop) -> None:
        loop.apply(container("web"))
        assert loop.default_network_exists()
        loop.delete(WEB)
        assert not loop.default_network_exists()

    def test_the_own_network_cannot_be_deleted_from_under_its_containers(self, loop: Loop) -> None:
        loop.apply(container("web"))
        starts = loop.observed("web").starts
        with pytest.raises(errors.Conflict, match="last container"):
            loop.delete(DEFAULT_NETWORK)
        assert loop.observed("web").starts == starts == 1

    def test_the_own_network_can_be_taken_over_by_a_manifest(self, loop: Loop) -> None:
        loop.apply(container("web"))
        starts, uid = loop.observed("web").starts, loop.entry(DEFAULT_NETWORK).desired.uid
        loop.apply(network("default", mtu=1400))
        taken = loop.entry(DEFAULT_NETWORK).desired
        assert (taken.uid, taken.owner, taken.spec) == (uid, Owner("api", "test"), {"mtu": 1400})
        assert loop.observed("web").starts == starts == 1

    def test_a_subnet_that_somebody_was_quicker_to_take_is_chosen_anew(self, loop: Loop) -> None:
        ensure, tried = loop.network.ensure_network, []

        def overlapping_once(config: object) -> None:
            tried.append(config.subnet)  # type: ignore[attr-defined]
            if len(tried) == 1:
                raise errors.Conflict("subnet overlaps what this host uses already")
            ensure(config)  # type: ignore[arg-type]

        free, offers = loop.network.free_subnet, ["10.200.1.0/24", "10.200.2.0/24"]
        loop.network.ensure_network = overlapping_once  # type: ignore[method-assign,assignment]
        loop.network.free_subnet = lambda taken, large: offers.pop(0) if offers else free(taken)  # type: ignore[method-assign]
        loop.apply(network("net"))
        loop.pass_time(2)
        assert tried == ["10.200.1.0/24", "10.200.2.0/24"]
        assert loop.ready(Key("Network", "default", "net"))[0] == "True"


class TestNetworksThatComeBack:
    NET = Key("Network", "default", "net")

    def test_one_that_is_declared_again_while_it_waits_for_its_containers_costs_them_nothing(self, loop: Loop) -> None:
        loop.apply(network("net"))
        loop.apply(container("web", networks=[{"name": "net"}]))
        before, uid = loop.observed("web"), loop.entry(self.NET).desired.uid
        loop.delete(self.NET)
        loop.pass_time(30)
        assert loop.observed("web").process == "running"
        loop.apply(network("net"))
        loop.pass_time(30)
        after = loop.observed("web")
        assert (after.incarnation, after.pid, after.starts) == (before.incarnation, before.pid, before.starts)
        assert loop.entry(self.NET).desired.uid == uid
        assert loop.ready(self.NET)[0] == loop.ready(WEB)[0] == "True"

    def test_the_plan_of_declaring_it_again_has_nothing_to_do(self, loop: Loop) -> None:
        loop.apply(network("net"))
        loop.apply(container("web", networks=[{"name": "net"}]))
        loop.delete(self.NET)
        shown = loop.ask("plan", documents=[network("net")], manager="test")
        assert shown["plan"]["steps"] == []

    def test_one_that_is_gone_is_made_again(self, loop: Loop) -> None:
        loop.apply(network("net"))
        uid = loop.entry(self.NET).desired.uid
        loop.delete(self.NET)
        loop.apply(network("net"))
        assert loop.entry(self.NET).desired.uid != uid


class TestStopsUnderWay:
    """A process that ignores SIGTERM."""

    @pytest.fixture
    def stubborn(self, loop: Loop) -> Loop:
        loop.apply(container("web", terminationGracePeriodSeconds=300))
        signal = loop.exec.signal
        self.sent: list[int] = []

        def ignoring(id: str, number: int) -> None:
            self.sent.append(number)
            if number == 9:
                signal(id, number)

        loop.exec.signal = ignoring  # type: ignore[method-assign]
        return loop

    def test_it_is_killed_when_its_grace_is_over_and_not_before(self, stubborn: Loop) -> None:
        stubborn.ask("override", namespace="default", name="web", action="stop")
        stubborn.settle()
        assert stubborn.observed("web").phase == "Stopping"
        stubborn.pass_time(290)
        assert self.sent == [15]
        stubborn.pass_time(11)
        assert self.sent == [15, 9]
        assert stubborn.observed("web").phase == "Stopped"

    def test_a_shorter_grace_cuts_it_short(self, stubborn: Loop) -> None:
        stubborn.ask("override", namespace="default", name="web", action="stop")
        stubborn.settle()
        stubborn.pass_time(5)
        stubborn.apply(container("web", terminationGracePeriodSeconds=1))
        assert self.sent == [15, 9]

    def test_a_start_takes_it_back(self, stubborn: Loop) -> None:
        stubborn.ask("override", namespace="default", name="web", action="stop")
        stubborn.settle()
        pid = stubborn.observed("web").pid
        stubborn.ask("override", namespace="default", name="web", action="start")
        stubborn.settle()
        stubborn.pass_time(400)
        assert (stubborn.observed("web").pid, self.sent) == (pid, [15])
        assert stubborn.ready(WEB)[0] == "True"

    def test_another_daemon_goes_on_where_the_first_one_was(self, stubborn: Loop) -> None:
        stubborn.ask("override", namespace="default", name="web", action="stop")
        stubborn.settle()
        stubborn.pass_time(200)
        again = Reconciler(stubborn.parts, stubborn.engine, Observer(stubborn.parts), 1, lambda key, entries: None)
        stubborn.clock.ahead += 101
        again.reconcile(WEB)
        assert self.sent == [15, 9]


class TestWords:
    def test_events_tell_the_life_of_a_container(self, loop: Loop) -> None:
        loop.apply(container("web"))
        assert loop.reasons(WEB) == ["Pulling", "Pulled", "Created", "Started"]
        loop.apply(container("web", env=[{"name": "A", "value": "b"}]))
        assert loop.reasons(WEB)[4:] == ["Stopping", "Stopped", "Removed", "Created", "Started"]
        told = len(loop.events(WEB))
        loop.look(WEB, closely=True)
        loop.apply(container("web", env=[{"name": "A", "value": "b"}]))
        assert len(loop.events(WEB)) == told

    def test_an_image_that_has_to_be_pulled_first_is_no_failure(self, loop: Loop) -> None:
        loop.apply(network("net"))
        loop.apply(container("web", networks=[{"name": "net"}]))
        assert "CreateFailed" not in loop.reasons(WEB)
        assert loop.observed("web").process == "running"

    def test_a_crash_loop_leaves_few_events(self, loop: Loop) -> None:
        loop.apply(container("web", command=["sh", "-c", "exit 3"]))
        for _ in range(20):
            loop.pass_time(301)
        found = {event.reason: event.count for event in loop.events(WEB)}
        assert found["BackOff"] > 10
        assert len(loop.events(WEB)) <= 8
        assert loop.observed("web").restart_count > 15

    def test_a_label_only_change_touches_no_process(self, loop: Loop) -> None:
        loop.apply(container("web"))
        starts = loop.observed("web").starts
        document = container("web")
        document["metadata"]["labels"] = {"tier": "front"}
        loop.apply(document)
        assert loop.observed("web").starts == starts == 1
        assert loop.ready(WEB)[0] == "True"


class TestMemory:
    def test_what_has_gone_is_forgotten(self, loop: Loop) -> None:
        for number in range(30):
            loop.apply(container(f"web{number}"))
            loop.delete(container_key(f"web{number}"))
            assert loop.parts.fresh == set()


def test_several_that_want_one_image_share_one_pull(loop: Loop) -> None:
    for name in ("one", "two", "three"):
        loop.ask("apply", document=container(name), manager="test")
    loop.settle()
    assert loop.registry.resolved == [IMAGE]


def test_a_pull_step_finds_the_image_that_came_meanwhile(loop: Loop) -> None:
    loop.apply(container("web"))
    desired = loop.entry(WEB).desired
    loop.engine.take(Step(id="pull", task=Pull(reference=IMAGE), desired=desired, cause="asked"))
    assert loop.registry.resolved == [IMAGE]
    assert loop.registry.asked == []
    loop.ask("pull_image", reference=IMAGE)
    assert (loop.registry.resolved, loop.registry.asked) == ([IMAGE], [IMAGE])


class TestStatusOnTheWay:
    def test_a_pull_under_way_is_seen(self, loop: Loop) -> None:
        resolve, seen = loop.registry.resolve, []

        def looking(reference: object, platform: str) -> object:
            seen.append(loop.ready(WEB)[:2])
            return resolve(reference)  # type: ignore[arg-type]

        loop.registry.resolve = looking  # type: ignore[method-assign,assignment]
        loop.apply(container("web"))
        assert seen == [("False", "Pulling")]

    def test_a_stop_under_way_is_seen(self, loop: Loop) -> None:
        loop.apply(container("web"))
        signal, seen = loop.exec.signal, []

        def looking(id: str, number: int) -> None:
            seen.append(loop.ready(WEB)[:2])
            signal(id, number)

        loop.exec.signal = looking  # type: ignore[method-assign]
        loop.apply(container("web", hostname="other"))
        assert seen == [("False", "Updating")]

    def test_what_has_ended_is_not_ready_at_once(self, loop: Loop) -> None:
        loop.apply(container("web"))
        made = loop.observed("web").incarnation
        assert made is not None
        loop.exec.finish(made.id, 1)
        start, seen = loop.exec.start, []

        def looking(id: str) -> object:
            seen.append(loop.ready(WEB)[:2])
            return start(id)

        loop.exec.start = looking  # type: ignore[method-assign,assignment]
        loop.look(WEB)
        assert seen == [("False", "Exited")]
        assert loop.ready(WEB)[0] == "True"


def test_a_dependency_that_comes_while_its_dependent_is_planned_wakes_it(loop: Loop) -> None:
    """After the last plan that is carried out, before the one that says what to wait for."""
    loop.ask("apply", document=container("web", dependsOn=[{"name": "other"}]), manager="test")
    loop.look(WEB)
    finish, came = loop.reconciler._finish, []

    def late(key: Key, changed: bool, failed: bool, owners: set[str]) -> bool:
        if key == WEB and not came:
            came.append(True)
            loop.ask("apply", document=container("other"), manager="test")
            # its own look comes at once and finds nobody who waits
            loop.reconciler.queue.take(timeout=0)
            gone = finish(key, changed, failed, owners)
            loop.reconciler.reconcile(OTHER)
            loop.reconciler.queue.done(OTHER)
            return gone
        return finish(key, changed, failed, owners)

    loop.reconciler._waiting.clear()
    loop.reconciler._finish = late  # type: ignore[method-assign]
    loop.look(WEB)
    assert came
    assert loop.observed("web").process == "running"


def test_a_dependency_that_starts_between_the_plan_and_the_wait_wakes_its_dependent(loop: Loop) -> None:
    loop.apply(container("web", dependsOn=[{"name": "other"}]))
    loop.reconciler._waiting.clear()
    plan, planned = loop.reconciler._plan, []

    def late(key: Key) -> tuple[View, Plan]:
        made = plan(key)
        if key == WEB:
            planned.append(key)
            if len(planned) == 2:
                # this is the plan that says what to wait for
                loop.apply(container("other"))
        return made

    loop.reconciler._plan = late  # type: ignore[method-assign]
    loop.look(WEB)
    assert loop.observed("other").process == "running"
    assert loop.observed("web").process == "running"
