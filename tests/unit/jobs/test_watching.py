"""Watches: what begins to match a selector appears, what no longer matches goes; any number of descriptors works."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from reconciler import errors
from reconciler.engine.job import Job
from reconciler.testing import wait
from reconciler.testing.descriptors import high_numbers
from reconciler.testing.loop import Loop, network, plain

Events = list[tuple[str, str]]


def labelled(name: str, **labels: str) -> dict[str, Any]:
    made = network(name)
    made["metadata"]["labels"] = labels
    return made


class Watched:
    """A watch in a thread: ``seen`` are (type, name) of what it sends."""

    def __init__(self, loop: Loop, **args: Any) -> None:
        self.seen: Events = []
        self.left = threading.Event()
        self.failure: list[BaseException] = []
        self._ends, self._end = os.pipe()
        self._loop, self._args = loop, {"kind": "Network", **args}
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Watched:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.left.set()
        os.write(self._end, b"x")
        self._thread.join(10)
        os.close(self._ends)
        os.close(self._end)

    def expect(self, *wanted: tuple[str, str]) -> None:
        wait.until(lambda: len(self.seen) >= len(wanted) or self.failure, 10.0, f"{wanted}")
        assert self.failure == []
        assert self.seen == list(wanted)

    def _take(self, item: Any) -> None:
        found = plain(item)
        self.seen.append((found["type"], found["object"]["metadata"].get("name", "")))

    def _run(self) -> None:
        try:
            self._loop.engine.run(
                Job("watch", args=self._args, emit=self._take, gone=self.left.is_set, gone_fd=self._ends)
            )
        except BaseException as error:  # noqa: BLE001 - shown by the test
            self.failure.append(error)


def write(loop: Loop, *documents: dict[str, Any]) -> None:
    for document in documents:
        loop.ask("put", document=document, manager="me")


def revision(loop: Loop) -> int:
    with loop.store.snapshot() as session:
        return session.changes.latest()


def remove(loop: Loop, name: str) -> None:
    """The object and every trace of it, without the loop's steps."""
    with loop.store.transaction() as session:
        (found,) = [each for each in session.objects.find(kind="Network") if each.key.name == name]
        session.objects.purge(found.uid)


STORY: tuple[Callable[[Loop], None], ...] = (
    lambda loop: write(loop, labelled("a", app="y")),  # ceases to match
    lambda loop: write(loop, labelled("b", app="x")),  # begins to
    lambda loop: write(loop, labelled("b", app="x", more="1")),  # goes on to
    lambda loop: write(loop, labelled("c", app="y", more="1")),  # never did
    lambda loop: remove(loop, "a"),  # is gone, and was told so before
    lambda loop: remove(loop, "b"),
)
TOLD = [("DELETED", "a"), ("ADDED", "b"), ("MODIFIED", "b"), ("DELETED", "b")]


def begin(loop: Loop) -> None:
    write(loop, labelled("a", app="x"), labelled("b", app="y"), labelled("c", app="y"))


@pytest.mark.parametrize("selector", [{"label_selector": "app=x"}, {"label_selector": "app in (x), app!=z"}])
def test_a_selector_shows_what_begins_and_ceases_to_match(loop: Loop, selector: dict[str, str]) -> None:
    begin(loop)
    with Watched(loop, **selector) as watch:
        watch.expect(("ADDED", "a"))
        for step in STORY:
            step(loop)
        watch.expect(("ADDED", "a"), *TOLD)


@pytest.mark.parametrize("late", [False, True])
def test_the_same_for_a_watch_that_begins_at_a_revision(loop: Loop, late: bool) -> None:
    """Whether the changes come while it watches, or had come before."""
    begin(loop)
    start = revision(loop)
    if late:
        for step in STORY:
            step(loop)
    with Watched(loop, label_selector="app=x", revision=start) as watch:
        if not late:
            for step in STORY:
                step(loop)
        watch.expect(*TOLD)


def test_a_field_selector_too(loop: Loop) -> None:
    begin(loop)
    with Watched(loop, field_selector="status.phase!=Ready", revision=revision(loop)) as watch:
        loop.settle()
        wait.until(lambda: watch.seen, 10.0, "networks that are ready")
        assert {kind for kind, _ in watch.seen} <= {"MODIFIED", "DELETED"}
        watched = [name for kind, name in watch.seen if kind == "DELETED"]
    ready = [each for each in loop.listed("Network") if each["status"]["phase"] == "Ready"]
    assert sorted(watched) == sorted(each["metadata"]["name"] for each in ready)


def test_what_was_forgotten_of_an_object_is_taken_for_a_match(loop: Loop) -> None:
    """A caller who does not know an object can ignore that it goes; one who is not told keeps it for ever."""
    begin(loop)
    with loop.store.transaction() as session:
        session.changes.compact(0)
    with Watched(loop, label_selector="app=x", revision=revision(loop)) as watch:
        write(loop, labelled("a", app="y"))
        watch.expect(("DELETED", "a"))


def test_without_a_selector_changes_are_passed_on_as_they_are(loop: Loop) -> None:
    begin(loop)
    with Watched(loop, revision=revision(loop)) as watch:
        write(loop, labelled("a", app="y"))
        remove(loop, "a")
        watch.expect(("MODIFIED", "a"), ("DELETED", "a"))


def test_a_watch_works_on_a_host_with_a_thousand_open_descriptors(loop: Loop) -> None:
    with high_numbers(), Watched(loop, label_selector="app=x") as watch:
        write(loop, labelled("a", app="x"))
        watch.expect(("ADDED", "a"))


def test_the_wakeup_of_a_watch_that_ended_is_written_no_more(loop: Loop) -> None:
    """Its number may be another descriptor's by then: everything that is written goes to nobody."""
    stop = threading.Event()
    wrong: list[BaseException] = []

    def watch_again_and_again() -> None:
        while not stop.is_set():
            try:
                loop.engine.run(Job("watch", args={"kind": "Network"}, gone=lambda: True))
            except errors.PydockError as error:
                wrong.append(error)

    written = threading.Event()
    real = os.eventfd_write

    def slowly(fd: int, value: int) -> None:
        """As the kernel would at the worst moment: between the decision to write and the write."""
        written.set()
        threading.Event().wait(0.002)
        try:
            real(fd, value)
        except OSError as error:
            wrong.append(error)
            raise

    watching = threading.Thread(target=watch_again_and_again)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "eventfd_write", slowly)
        watching.start()
        for number in range(100):
            write(loop, labelled("a", app=str(number)))
        stop.set()
        watching.join(10)
    assert written.is_set()
    assert wrong == []
