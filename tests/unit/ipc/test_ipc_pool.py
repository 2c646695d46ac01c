from __future__ import annotations

import threading

import pytest

from reconciler.ipc.pool import Pool
from reconciler.testing.wait import until


def test_tasks_beyond_the_bound_are_not_taken() -> None:
    pool, gate, ran = Pool(2, "bounded"), threading.Event(), []
    assert pool.submit(gate.wait)  # type: ignore[arg-type]
    assert pool.submit(gate.wait)  # type: ignore[arg-type]
    assert not pool.submit(lambda: ran.append(1))
    gate.set()
    until(lambda: pool.busy == 0, what="the pool to be idle")
    assert pool.submit(lambda: ran.append(2))
    until(lambda: ran, what="the task")
    assert ran == [2]


def test_threads_are_reused_and_end_when_idle() -> None:
    pool, seen = Pool(8, "reused", linger=0.05), set()
    for turn in range(20):
        assert pool.submit(lambda: seen.add(threading.get_ident()))
        until(lambda turn=turn: pool.busy == 0, what=f"task {turn}")  # type: ignore[misc]
    assert len(seen) <= 2
    until(lambda: not [t for t in threading.enumerate() if t.name == "reused"], what="the threads to end")
    assert pool.submit(lambda: seen.clear())
    until(lambda: not seen, what="a task after the threads had ended")


def test_tasks_that_wait_run_later_and_threads_stay_within_the_bound() -> None:
    pool, gate, ran = Pool(3, "waiting"), threading.Event(), []

    def task() -> None:
        gate.wait()
        ran.append(1)

    for _ in range(10):
        assert pool.submit(task, wait=True)
    assert pool.busy == 10
    assert len([t for t in threading.enumerate() if t.name == "waiting"]) == 3
    gate.set()
    until(lambda: pool.busy == 0, what="all tasks")
    assert len(ran) == 10


def test_a_host_without_room_for_threads_refuses_and_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, ran = Pool(2, "starved"), []

    def no_room(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_room)
        assert not pool.submit(lambda: ran.append(1))
        assert not pool.submit(lambda: ran.append(2), wait=True)
    assert pool.busy == 0
    assert pool.submit(lambda: ran.append(3))
    until(lambda: pool.busy == 0, what="the task")
    assert ran == [3]
