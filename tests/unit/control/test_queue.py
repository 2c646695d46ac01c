"""The queue of keys: once each, one worker at a time, now or later."""

from __future__ import annotations

import threading
import time

from reconciler.control.queue import KeyQueue
from reconciler.testing import wait


def test_a_key_added_twice_is_taken_once() -> None:
    queue: KeyQueue[str] = KeyQueue()
    queue.add("a", "b", "a")
    assert queue.take() == "a"
    assert queue.take() == "b"
    assert queue.take(timeout=0.0) is None


def test_a_key_added_while_taken_comes_again_after_done_and_not_before() -> None:
    queue: KeyQueue[str] = KeyQueue()
    queue.add("a")
    assert queue.take() == "a"
    queue.add("a")
    queue.add("a")
    assert queue.take(timeout=0.0) is None
    queue.done("a")
    assert queue.take(timeout=0.0) == "a"
    queue.done("a")
    assert queue.take(timeout=0.0) is None


def test_of_two_deadlines_the_earlier_counts() -> None:
    queue: KeyQueue[str] = KeyQueue()
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    queue.add_at("a", now + 3600)
    queue.add_at("a", now + 0.02)
    assert queue.take(timeout=5.0) == "a"
    queue.done("a")
    assert tuple(queue.pending()) == ()


def test_a_deadline_wakes_a_waiting_worker() -> None:
    queue: KeyQueue[str] = KeyQueue()
    taken: list[str | None] = []
    worker = threading.Thread(target=lambda: taken.append(queue.take()))
    worker.start()
    queue.add_at("later", time.clock_gettime(time.CLOCK_BOOTTIME) + 0.05)
    worker.join(5.0)
    assert taken == ["later"]


def test_close_releases_waiting_workers() -> None:
    queue: KeyQueue[str] = KeyQueue()
    taken: list[str | None] = []
    workers = [threading.Thread(target=lambda: taken.append(queue.take())) for _ in range(3)]
    for worker in workers:
        worker.start()
    queue.close()
    for worker in workers:
        worker.join(5.0)
    assert taken == [None, None, None]


def test_idle_means_that_nothing_is_ready_or_taken() -> None:
    queue: KeyQueue[str] = KeyQueue()
    assert queue.idle()
    queue.add("a")
    assert not queue.idle()
    assert queue.take() == "a"
    assert not queue.idle()
    queue.done("a")
    assert queue.idle()


def test_many_workers_never_hold_one_key_together() -> None:
    queue: KeyQueue[int] = KeyQueue()
    held: set[int] = set()
    guard = threading.Lock()
    clashes: list[int] = []
    served = [0] * 5

    def work() -> None:
        while (key := queue.take()) is not None:
            with guard:
                if key in held:
                    clashes.append(key)
                held.add(key)
            served[key] += 1
            with guard:
                held.discard(key)
            queue.done(key)

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for _ in range(400):
        queue.add(*range(5))
    wait.until(queue.idle, 10.0, "an idle queue")
    queue.close()
    for worker in workers:
        worker.join(5.0)
    assert clashes == []
    assert all(count > 0 for count in served)
