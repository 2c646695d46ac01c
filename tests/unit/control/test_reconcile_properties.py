"""The loop on drivers in memory, under many edits: what was asked for last is what there is in the end."""

from __future__ import annotations

import itertools
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler import errors
from reconciler.control.observer import Observer
from reconciler.control.reconcile import Reconciler
from reconciler.kinds.container.observed import ContainerObserved
from reconciler.model.keys import Key
from reconciler.model.view import DEFAULT_NETWORK
from reconciler.testing import wait
from reconciler.testing.loop import Loop, container, container_key, network

NAMES = ("a", "b", "c", "d")
WEB = container_key("web")


def footprint(loop: Loop) -> tuple[int, int, int]:
    """The revision, and how many jobs and events there are."""
    with loop.store.snapshot() as session:
        return session.changes.latest(), len(session.journal.find(limit=10_000)), len(session.events.find(limit=10_000))


def test_the_same_manifest_a_thousand_times_has_no_side_effect(loop: Loop) -> None:
    document = container("web", env=[{"name": "A", "value": "b"}], ports=[{"containerPort": 80, "hostPort": 8080}])
    loop.apply(document)
    before, calls = footprint(loop), loop.exec.calls.copy()
    for _ in range(1000):
        assert loop.apply(document)["outcome"] == "unchanged"
    assert footprint(loop) == before
    assert loop.exec.calls == calls


def test_looking_again_and_again_has_no_side_effect(loop: Loop) -> None:
    loop.apply(container("web"))
    loop.look(WEB, closely=True)
    before = footprint(loop)
    for number in range(300):
        loop.look(WEB, closely=number % 2 == 0)
    assert footprint(loop) == before
    assert loop.observed("web").starts == 1


def test_deleted_while_it_starts_then_made_again_by_the_same_name(loop: Loop) -> None:
    """The deletion and the new object come in the middle of the first one's start."""
    start, uids = loop.exec.start, []

    def interrupted(id: str) -> Any:
        if not uids:
            uids.append(loop.entry(WEB).desired.uid)
            loop.ask("delete", kind="Container", namespace="default", name="web")
            loop.ask("apply", document=container("web", args=["second"]), manager="test")
        return start(id)

    loop.exec.start = interrupted  # type: ignore[method-assign]
    loop.apply(container("web", args=["first"]))
    assert loop.entry(WEB).desired.uid != uids[0]
    observed = loop.observed("web")
    assert (observed.process, observed.error) == ("running", "")
    assert loop.ready(WEB)[0] == "True"
    assert len(loop.world.runs) == 1
    assert len(loop.network.host.endpoints) == 1
    assert not [event for event in loop.events(WEB) if event.type == "Warning"]


edit = st.one_of(
    st.tuples(st.just("apply"), st.sampled_from(NAMES), st.sampled_from(["1", "2"]), st.sampled_from(["", "net"]),
              st.sampled_from(["", *NAMES])),
    st.tuples(st.just("delete"), st.sampled_from(NAMES)),
    st.tuples(st.just("stop"), st.sampled_from(NAMES)),
    st.tuples(st.just("start"), st.sampled_from(NAMES)),
    st.tuples(st.just("exit"), st.sampled_from(NAMES), st.sampled_from([0, 1, 137])),
    st.tuples(st.just("flush")),
    st.tuples(st.just("settle"), st.integers(0, 3)),
)  # fmt: skip


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(edit, max_size=25))
def test_random_edits_end_in_what_was_asked_for(edits: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        loop = Loop(Path(scratch))
        try:
            loop.apply(network("net"))
            wanted: dict[str, dict[str, Any]] = {}
            stopped: set[str] = set()
            for word, *rest in edits:
                do(loop, wanted, stopped, word, *rest)
            for _ in range(4):
                loop.settle()
                loop.pass_time(400)
            # as the daemon's listener to the kernel would ask for: networks first
            for key in (Key("Network", "default", "net"), DEFAULT_NETWORK, *map(container_key, NAMES)):
                loop.look(key, closely=True)
            agree(loop, wanted, stopped)
        finally:
            loop.close()


def do(loop: Loop, wanted: dict[str, dict[str, Any]], stopped: set[str], word: str, *rest: Any) -> None:
    """One edit in the model and, unsettled, in the loop's store."""
    if word == "apply":
        name, arg, joined, after = rest
        document = container(name, args=[arg])
        if joined:
            document["spec"]["networks"] = [{"name": joined}]
        # later names depend on earlier ones alone: no circle
        if after and after < name:
            document["spec"]["dependsOn"] = [{"name": after}]
        loop.ask("apply", document=document, manager="test")
        wanted[name] = document["spec"]
    elif word == "flush":
        loop.network.host.flush_ruleset()
    elif word == "settle":
        for _ in range(rest[0]):
            one_look(loop)
    elif rest[0] in wanted:
        in_world(loop, wanted, stopped, word, *rest)


def in_world(loop: Loop, wanted: dict[str, Any], stopped: set[str], word: str, name: str, *rest: Any) -> None:
    if word == "delete":
        loop.ask("delete", kind="Container", namespace="default", name=name)
        del wanted[name]
        stopped.discard(name)
    elif word == "exit":
        observed = loop.entry(container_key(name)).observed
        made = observed.incarnation if isinstance(observed, ContainerObserved) else None
        if made is not None and made.id in loop.world.runs and loop.world.runs[made.id].facts.status == "running":
            loop.exec.finish(made.id, rest[0])
            loop.reconciler.look([container_key(name)])
    else:
        loop.ask("override", namespace="default", name=name, action=word)
        (stopped.add if word == "stop" else stopped.discard)(name)


def one_look(loop: Loop) -> None:
    key = loop.reconciler.queue.take(timeout=0)
    if key is not None:
        loop.reconciler.reconcile(key)
        loop.reconciler.queue.done(key)


def agree(loop: Loop, wanted: dict[str, dict[str, Any]], stopped: set[str]) -> None:
    """Objects, processes, endpoints and snapshots are those of the model, and there are no others."""
    for name in NAMES:
        key = container_key(name)
        assert loop.exists(key) == (name in wanted), name
    started = set()
    for name, spec in sorted(wanted.items()):
        needs = {item["name"] for item in spec.get("dependsOn", ())}
        observed = loop.observed(name)
        if name in stopped:
            assert observed.process != "running", name
            continue
        if not needs <= started and observed.process != "running":
            continue
        started.add(name)
        assert observed.process == "running", (name, loop.ready(container_key(name)))
        assert observed.incarnation is not None
        assert observed.incarnation.written == spec
        assert observed.error == ""
    ids = {each.incarnation.id for name in wanted if (each := loop.observed(name)).incarnation}
    running = {id for id, run in loop.world.runs.items() if run.facts.status == "running"}
    assert running <= ids
    assert set(loop.snapshots.snapshots()) == ids
    assert not loop.network.host.endpoint_damage
    assert not loop.network.host.network_damage


class Threaded:
    """The loop with its workers."""

    def __init__(self, loop: Loop, limit: int) -> None:
        self.loop = loop
        self.reconciler = Reconciler(loop.parts, loop.engine, Observer(loop.parts), limit, lambda key, entries: None)
        loop.parts.look = self.reconciler.look
        self.reconciler.start()

    def apply(self, document: dict[str, Any]) -> None:
        self.loop.ask("apply", document=document, manager="test")

    def running(self, *names: str) -> bool:
        found = [self.loop.entry(container_key(name)).observed for name in names]
        return all(isinstance(each, ContainerObserved) and each.phase == "Running" for each in found)

    def close(self) -> None:
        self.reconciler.close()
        wait.until(lambda: self.reconciler.queue.idle() or self.reconciler.queue.closed, 10.0, "the workers")


@pytest.fixture
def threaded(loop: Loop) -> Iterator[Threaded]:
    made = Threaded(loop, 16)
    yield made
    made.close()
    made.loop.engine.shutdown(0.0)


def test_one_object_that_hangs_holds_up_nobody_else(threaded: Threaded) -> None:
    hangs, let_go, create = threading.Event(), threading.Event(), threaded.loop.exec.create

    def hanging(config: Any) -> Any:
        if config.hostname == "hangs":
            hangs.set()
            let_go.wait(20)
        return create(config)

    threaded.loop.exec.create = hanging  # type: ignore[method-assign]
    try:
        threaded.apply(container("hangs"))
        assert hangs.wait(10)
        others = [f"other{number}" for number in range(20)]
        for name in others:
            threaded.apply(container(name))
        wait.until(lambda: threaded.running(*others), 10.0, "the others")
        assert not threaded.running("hangs")
    finally:
        let_go.set()
    wait.until(lambda: threaded.running("hangs"), 10.0, "the one that hung")


@pytest.mark.parametrize("backwards", [False, True])
def test_a_chain_of_dependents_is_woken_link_by_link(threaded: Threaded, backwards: bool) -> None:
    """No look is timed here: a lost wake-up would leave the chain standing still."""
    names = [f"c{number:02}" for number in range(25)]
    chain = [container(name, dependsOn=[{"name": before}]) for before, name in itertools.pairwise(names)]
    documents = [container(names[0]), *chain]
    for document in documents[::-1] if backwards else documents:
        threaded.apply(document)
    wait.until(lambda: threaded.running(*names), 20.0, "the last of the chain")
    started = [threaded.loop.observed(name).started_mono for name in names]
    assert started == sorted(started)


def test_no_wake_up_is_lost_between_a_plan_and_its_wait(threaded: Threaded) -> None:
    """The dependency starts and the dependent asks for it in every order."""
    for number in range(60):
        before = container(f"before{number}")
        after = container(f"after{number}", dependsOn=[{"name": f"before{number}"}])
        threads = [threading.Thread(target=threaded.apply, args=(document,)) for document in (after, before)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
    names = [f"{word}{number}" for number in range(60) for word in ("before", "after")]
    try:
        wait.until(lambda: threaded.running(*names), 20.0, "all pairs")
    except AssertionError as error:
        standing = {name: threaded.loop.ready(container_key(name)) for name in names if not threaded.running(name)}
        raise AssertionError(f"{error}: {standing}") from None


def test_many_editors_of_the_same_few_objects(threaded: Threaded) -> None:
    """Eight threads apply, delete and restart; in the end the last word of each object counts, and nothing else is
    there."""
    failures: list[BaseException] = []

    def edit(seed: int) -> None:
        try:
            for number in range(25):
                name = NAMES[(seed + number) % len(NAMES)]
                try:
                    if (seed * 7 + number) % 3:
                        threaded.apply(container(name, args=[str(seed), str(number)]))
                    else:
                        threaded.loop.ask("delete", kind="Container", namespace="default", name=name)
                except (errors.NotFound, errors.Conflict):
                    continue
        except BaseException as error:  # noqa: BLE001 - handed to the test's thread
            failures.append(error)

    editors = [threading.Thread(target=edit, args=(seed,)) for seed in range(8)]
    for editor in editors:
        editor.start()
    for editor in editors:
        editor.join(60)
    assert not failures
    for name in NAMES:
        threaded.apply(container(name, args=["last"]))
    wait.until(lambda: threaded.running(*NAMES) and settled(threaded), 30.0, "the last words")
    world, ids = threaded.loop.world, set()
    for name in NAMES:
        made = threaded.loop.observed(name).incarnation
        assert made is not None
        assert made.effective.args == ("last",)
        ids.add(made.id)
    assert {id for id, run in world.runs.items() if run.facts.status == "running"} == ids
    assert set(threaded.loop.snapshots.snapshots()) == ids
    assert len(threaded.loop.network.host.endpoints) == len(NAMES)


def settled(threaded: Threaded) -> bool:
    """Each name stands for one object, whose last words are in force, by a process of its own: the phase, which is
    written after a look, may still be the former incarnation's."""
    with threaded.loop.store.snapshot() as session:
        entries = session.entries([container_key(name) for name in NAMES])
    observed = [entry.observed for entry in entries]
    run = [each for each in observed if isinstance(each, ContainerObserved) and each.process == "running"]
    made = [each.incarnation for each in run if each.incarnation is not None]
    return len(entries) == len(made) == len(NAMES) and all(each.effective.args == ("last",) for each in made)


def test_the_default_network_is_one_however_many_ask_for_it(threaded: Threaded) -> None:
    names = [f"n{number}" for number in range(30)]
    threads = [threading.Thread(target=threaded.apply, args=(container(name),)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    wait.until(lambda: threaded.running(*names), 20.0, "all to run")
    with threaded.loop.store.snapshot() as session:
        assert [found.key for found in session.objects.find(kind="Network")] == [Key("Network", "default", "default")]
    addresses = {threaded.loop.observed(name).attachments[0].address for name in names}
    assert len(addresses) == len(names)
