"""The loop's workers: one that hangs holds up nobody else, and none works on after the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler import errors
from reconciler.control.pacing import Mends, Places, Shared
from reconciler.control.reconcile import Reconciler
from reconciler.kinds.container.tasks import Repair, Start
from reconciler.model.keys import Key
from reconciler.model.objects import Desired, Owner
from reconciler.model.plan import Step
from reconciler.testing import wait
from reconciler.testing.loop import Loop, container_key

HANGING, OTHER = container_key("hanging"), container_key("other")


def _desired(key: Key) -> Desired:
    return Desired(key, "u", 1, 1, 0.0, {}, {}, {"image": "web"}, Owner("api", "test"))


class Workers(Reconciler):
    """Notes what is looked at; a look at ``HANGING`` lasts until ``go_on`` is set."""

    def __init__(self, loop: Loop) -> None:
        super().__init__(loop.parts, loop.engine, loop.reconciler._observer, 4, lambda key, entries: None)
        self.looked: list[Key] = []
        self.go_on = threading.Event()

    def reconcile(self, key: Key) -> None:
        self.looked.append(key)
        if key == HANGING:
            self.go_on.wait(10)


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    loop = Loop(tmp_path)
    made = Workers(loop)
    made.start()
    try:
        yield made
    finally:
        made.go_on.set()
        made.close()
        made.wait_ended(time.monotonic() + 5)
        loop.close()


def test_what_is_due_while_another_hangs_is_looked_at(workers: Workers) -> None:
    workers.look([HANGING])
    wait.until(lambda: workers.looked, 2.0, "the hanging look to begin")
    workers.look_at(OTHER, time.clock_gettime(time.CLOCK_BOOTTIME) + 0.02)
    wait.until(lambda: OTHER in workers.looked, 2.0, "the other key to be looked at")


def test_the_end_waits_for_looks_under_way(workers: Workers) -> None:
    workers.look([HANGING])
    wait.until(lambda: workers.looked, 2.0, "the hanging look to begin")
    workers.close()
    assert not workers.wait_ended(time.monotonic() + 0.05)
    workers.go_on.set()
    assert workers.wait_ended(time.monotonic() + 5)


def test_one_key_has_a_pull_at_a_time() -> None:
    pulls = Shared()
    with pulls.claim("web:1", HANGING) as holder:
        assert holder is None
        assert pulls.holder("web:1") == HANGING
        with pulls.claim("web:1", OTHER) as other, pulls.claim("web:2", OTHER) as second:
            assert (other, second) == (HANGING, None)
        assert pulls.holder("web:1") == HANGING
    assert pulls.holder("web:1") is None


def test_a_pull_is_free_again_after_an_error() -> None:
    pulls = Shared()
    with pytest.raises(ZeroDivisionError), pulls.claim("web:1", HANGING):
        raise ZeroDivisionError
    with pulls.claim("web:1", OTHER) as holder:
        assert holder is None


class TestMends:
    STEP = Step(id="repair", task=Repair(facets=("route",)), desired=_desired(HANGING), cause="")

    def test_a_fight_with_another_program_is_slowed_down(self) -> None:
        mends = Mends()
        for _ in range(30):
            mends.count(self.STEP, 100.0)
        with pytest.raises(errors.Temporary, match="another program") as caught:
            mends.count(self.STEP, 101.0)
        assert caught.value.delay > 1
        mends.count(self.STEP, 120.0)

    def test_other_steps_and_other_objects_are_not_counted(self) -> None:
        mends = Mends()
        for _ in range(100):
            mends.count(Step(id="start", task=Start(counts=False), desired=_desired(HANGING), cause=""), 100.0)
        for _ in range(30):
            mends.count(self.STEP, 100.0)
        mends.count(Step(id="repair", task=Repair(facets=("route",)), desired=_desired(OTHER), cause=""), 100.0)


class Crowd:
    """Threads that each hold a place until they are let go."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self.inside: list[int] = []
        self._ends: list[threading.Event] = []
        self._threads: list[threading.Thread] = []

    def come(self) -> None:
        number = len(self._threads)
        self._ends.append(threading.Event())
        self._threads.append(threading.Thread(target=self._stay, args=(number,)))
        self._threads[-1].start()

    def leave(self, number: int) -> None:
        self._ends[number].set()

    def close(self) -> None:
        for end in self._ends:
            end.set()
        for thread in self._threads:
            thread.join()

    def _stay(self, number: int) -> None:
        with self._places.hold():
            self.inside.append(number)
            self._ends[number].wait(10.0)


@pytest.fixture
def crowds() -> Iterator[list[Crowd]]:
    made: list[Crowd] = []
    yield made
    for crowd in made:
        crowd.close()


def test_who_comes_to_taken_places_waits_until_one_is_left(crowds: list[Crowd]) -> None:
    crowds.append(crowd := Crowd(Places(2, patience=60.0)))
    for _ in range(6):
        crowd.come()
    wait.until(lambda: len(crowd.inside) == 2, 2.0, "the first two")
    for left in range(4):
        assert len(crowd.inside) == 2 + left
        crowd.leave(crowd.inside[left])
        wait.until(lambda left=left: len(crowd.inside) == 3 + left, 2.0, "the place that was left")  # type: ignore[misc]


def test_those_who_stay_long_hold_up_nobody(crowds: list[Crowd]) -> None:
    crowds.append(crowd := Crowd(Places(2, patience=0.05)))
    for _ in range(8):
        crowd.come()
    wait.until(lambda: len(crowd.inside) == 8, 5.0, "all to be in, though none has left")
