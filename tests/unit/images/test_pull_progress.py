"""How far pulls have come: counted in memory, told in few words, shared by all who want the same image."""

from __future__ import annotations

import threading
from typing import Any

import msgspec
import pytest

from reconciler import errors, ipc
from reconciler.engine.job import Job
from reconciler.images import pull_progress, shared_pull
from reconciler.testing import images, wait
from reconciler.testing.loop import IMAGE, Loop, container, container_key, plain

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64


class Clock:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


def test_sums_rate_and_layers() -> None:
    clock = Clock()
    transfer = pull_progress.PullProgress("x", 7, clock)
    transfer.report("resolving", "", 0, 0)
    assert pull_progress.told(transfer.summary()) == "pulling x: asking its registry"
    transfer.report("exists", B, 500, 500)
    for second in range(1, 11):
        clock.now += 1
        transfer.report("downloading", A, second * 1024 * 1024, 20 << 20)
    found = transfer.summary()
    assert (found["current"], found["total"], found["percent"]) == (10 << 20, 20 << 20, 50)
    assert found["bytesPerSecond"] == 1 << 20
    assert pull_progress.told(found) == "pulling x: 50% of 20.0MiB, 1.0MiB/s"
    assert found["layers"][0] == {"digest": B, "status": "exists", "current": 500, "total": 500}
    # what stands still has no rate for long
    clock.now += 1000
    assert transfer.summary()["bytesPerSecond"] < 1 << 14
    transfer.report("unpacking", A, 20 << 20, 20 << 20)
    assert pull_progress.told(transfer.summary()) == "pulling x: all 20.0MiB are here, 1 of its layers to unpack"


def test_every_change_of_state_is_told_once_and_bytes_as_they_are() -> None:
    transfer, mark = pull_progress.PullProgress("x", 1), pull_progress.Mark()
    for count in range(100):
        transfer.report("downloading", A, count, 100)
    assert [item["current"] for item in transfer.since(mark)] == [0, 99]
    assert transfer.since(mark) == []
    transfer.report("downloaded", A, 100, 100)
    transfer.report("unpacking", A, 100, 100)
    assert [item["status"] for item in transfer.since(mark)] == ["downloaded", "unpacking"]


def held_fetch(loop: Loop) -> threading.Event:
    """Downloads wait from now on until the event is set."""
    loop.registry.gate = threading.Event()
    return loop.registry.gate


def in_thread(work: Any) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_who_asks_for_a_pull_that_is_under_way_is_told_of_it_and_nothing_is_fetched_twice(loop: Loop) -> None:
    gate, items = held_fetch(loop), list[dict[str, Any]]()
    step = in_thread(lambda: loop.apply(container("web")))
    wait.until(lambda: loop.parts.images.running.of(IMAGE), what="the step's pull")
    asked = in_thread(lambda: loop.engine.run(Job("pull_image", args={"reference": IMAGE}, emit=items.append)))
    wait.until(lambda: items, what="the first word about it")
    assert loop.registry.resolved == [IMAGE]
    gate.set()
    for thread in (step, asked):
        thread.join(10)
    assert items[-1]["digest"] == loop.registry.images[IMAGE].digest
    assert sorted(loop.registry.fetched) == sorted((digest, 0) for digest in loop.registry.images[IMAGE].blobs)


def test_reads_show_a_pull_and_the_store_hears_nothing_of_it(loop: Loop) -> None:
    gate = held_fetch(loop)
    thread = in_thread(lambda: loop.apply(container("web")))
    wait.until(lambda: loop.parts.images.running.of(IMAGE), what="the pull")
    wait.until(lambda: loop.ready(container_key("web"))[1] == "Pulling", what="its status")
    with loop.store.snapshot() as session:
        before = session.changes.latest()
    transfer = loop.parts.images.running.of(IMAGE)
    assert transfer is not None
    for count in range(1000):
        transfer.report("downloading", A, count, 2000)
    shown = loop.ask("get", kind="Container", namespace="default", name="web")
    assert shown["status"]["progress"]["layers"][-1] == {
        "digest": A, "status": "downloading", "current": 999, "total": 2000
    }  # fmt: skip
    ready = shown["status"]["conditions"][0]
    assert (ready["status"], ready["reason"]) == ("False", "Pulling")
    assert ready["message"].startswith(f"pulling {IMAGE}: ")
    assert loop.listed("Container") == [shown]
    job = loop.ask("jobs")["items"][0]
    assert (job["name"], job["status"], job["progress"]["reference"]) == ("pull", "running", IMAGE)
    with loop.store.snapshot() as session:
        assert session.changes.latest() == before
    gate.set()
    thread.join(10)
    assert "progress" not in loop.ask("get", kind="Container", namespace="default", name="web")["status"]
    assert "progress" not in loop.ask("jobs")["items"][-1]


@pytest.mark.parametrize("asked", [True, False])
def test_a_watch_shows_progress_if_asked_to(loop: Loop, asked: bool) -> None:
    gate, items, left = held_fetch(loop), list[dict[str, Any]](), threading.Event()
    pull = in_thread(lambda: loop.apply(container("web")))
    wait.until(lambda: loop.parts.images.running.of(IMAGE), what="the pull")

    def take(item: Any) -> None:
        items.append(plain(item))

    args = {"kind": "Container", "progress": asked, "field_selector": "metadata.name=web"}
    watch = in_thread(lambda: loop.engine.run(Job("watch", args=args, emit=take, gone=left.is_set)))
    wait.until(lambda: items, what="what is there")
    if asked:
        wait.until(lambda: len(items) >= 3, what="progress")
        assert all("progress" in item["object"]["status"] for item in items[1:])
    gate.set()
    pull.join(10)
    wait.until(lambda: "pid" in items[-1]["object"]["status"], what="the container to run")
    left.set()
    watch.join(10)
    revisions = [item["object"]["metadata"]["resourceVersion"] for item in items]
    assert asked or len(set(revisions)) == len(revisions)


def test_a_caller_who_leaves_ends_the_pull_or_the_wait_for_it(loop: Loop) -> None:
    gate, left = held_fetch(loop), threading.Event()
    caught, heard = list[BaseException](), set[int]()

    def gone() -> bool:
        if left.is_set():
            heard.add(threading.get_ident())
        return left.is_set()

    def ask() -> None:
        try:
            loop.engine.run(Job("pull_image", args={"reference": IMAGE}, gone=gone))
        except ipc.CallerLeft as error:
            caught.append(error)

    first = in_thread(ask)
    wait.until(lambda: loop.registry.fetched, what="a fetch")
    second = in_thread(ask)
    left.set()
    second.join(10)
    assert len(caught) == 1
    wait.until(lambda: len(heard) == 2, what="the first to hear of it")
    gate.set()
    first.join(10)
    assert len(caught) == 2
    assert loop.ask("images")["items"] == []


def test_the_end_of_the_daemon_ends_a_wait(loop: Loop) -> None:
    job = Job("pull_image")
    job.stopping.set()
    with loop.parts.images.locks.hold("x"), pytest.raises(errors.Temporary, match="shutting down"):
        shared_pull.run(loop.parts.images, job, "x", lambda stop: None)


def test_a_configuration_that_was_read_otherwise_is_recorded_anew(loop: Loop) -> None:
    """A former pydock may have passed over a user whose key is in another case."""
    loop.registry.add(IMAGE, images.build([b"layer"], {"user": "7"}))
    loop.ask("pull_image", reference=IMAGE)
    with loop.store.transaction() as session:
        facts = session.images.get(IMAGE)
        assert facts is not None
        held, chain = session.relations.blobs()[facts.digest], session.images.chain(facts.image_id)
        session.images.put(msgspec.structs.replace(facts, user=""), held, chain)
    loop.ask("pull_image", reference=IMAGE)
    with loop.store.snapshot() as session:
        assert session.images.get(IMAGE) == facts
    assert facts.user == "7"
