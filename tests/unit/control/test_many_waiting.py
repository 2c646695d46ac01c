"""Many that wait for something that is missing: a look at one costs the same, and holds up nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.engine import views
from reconciler.model.keys import Key
from reconciler.model.view import View
from reconciler.testing.loop import Loop, container, container_key, network

MANY = 100


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    made = Loop(tmp_path)
    try:
        made.apply(container("web"))
        yield made
    finally:
        made.close()


def waiting(number: int) -> Key:
    return container_key(f"w{number}")


def apply_waiting(loop: Loop, numbers: range) -> None:
    """Containers of one image that wait for a missing network; nobody looks at them yet."""
    for number in numbers:
        loop.ask("apply", document=container(f"w{number}", networks=[{"name": "missing"}]), manager="test")


def loaded(loop: Loop, key: Key) -> int:
    """How many entries the view of one key holds."""
    with loop.store.snapshot() as session:
        view: View = views.closure(session, [key])
    return len(view.live) + sum(map(len, view.terminating.values()))


def test_a_look_at_one_reads_the_same_however_many_wait(loop: Loop) -> None:
    apply_waiting(loop, range(3))
    loop.settle()
    few = loaded(loop, waiting(0))
    apply_waiting(loop, range(3, 60))
    loop.settle()
    assert loaded(loop, waiting(0)) == few < 5
    assert loaded(loop, container_key("web")) < 5


def test_a_new_container_and_a_repair_come_before_those_that_wait(loop: Loop) -> None:
    apply_waiting(loop, range(MANY))
    loop.settle()
    before = dict(loop.looks)
    # all that wait are woken, as after a look at everything
    loop.reconciler.look(map(waiting, range(MANY)), later=True)
    loop.ask("apply", document=container("new"), manager="test")
    loop.reconciler.look([container_key("web")], closely=True)
    order = []
    while (key := loop.reconciler.queue.take(timeout=0)) is not None:
        order.append(key)
        loop.reconciler.reconcile(key)
        loop.reconciler.queue.done(key)
        if {container_key("new"), container_key("web")} <= set(order) and loop.observed("new").process == "running":
            break
    assert len(order) < 10
    loop.settle()
    assert all(loop.looks.get(waiting(each), 0) - before.get(waiting(each), 0) <= 1 for each in range(MANY))


def test_those_that_wait_are_looked_at_once_for_each_word(loop: Loop) -> None:
    apply_waiting(loop, range(MANY))
    loop.settle()
    assert max(loop.looks[waiting(each)] for each in range(MANY)) <= 2
    before = dict(loop.looks)
    loop.apply(network("missing", subnet="10.99.0.0/16"))
    assert all(loop.observed(f"w{each}").process == "running" for each in (0, MANY // 2, MANY - 1))
    # the network's making and its readiness are two words
    assert max(loop.looks[waiting(each)] - before[waiting(each)] for each in range(MANY)) <= 3
