"""The keeper of the API process: one dies, another takes its place, on the same sockets, ever more slowly."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from reconciler import errors
from reconciler.control import life
from reconciler.engine import front
from reconciler.engine.engine import Engine, Handler
from reconciler.engine.parts import Parts
from reconciler.ipc import EngineClient
from reconciler.requests import service
from reconciler.testing import wait


class Process:
    """An API process that is only its end of the engine socket."""

    def __init__(self) -> None:
        self.control, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.client = EngineClient(self.theirs)
        self.stopped: list[float] = []
        self.ready_asked: list[float] = []

    def wait_ready(self, timeout: float) -> None:
        self.ready_asked.append(timeout)

    def stop(self, grace: float) -> None:
        self.stopped.append(grace)
        self.theirs.close()

    def die(self) -> None:
        self.theirs.close()


class Spawner:
    def __init__(self) -> None:
        self.made: list[Process] = []
        self.failures: list[Exception] = []

    def __call__(self) -> Process:
        if self.failures:
            raise self.failures.pop()
        self.made.append(Process())
        return self.made[-1]

    def answers(self) -> bool:
        try:
            return bool(self.made[-1].client.call("ping", service.Ping(), accept_timeout=1.0) == {"ready": True})
        except errors.Temporary:
            return False


@pytest.fixture
def spawner(monkeypatch: pytest.MonkeyPatch) -> Spawner:
    monkeypatch.setattr(life, "_RESPAWN", (0.0, 0.01, 0.02))
    return Spawner()


@pytest.fixture
def api(spawner: Spawner) -> Iterator[life.Api]:
    made = life.Api(cast(Any, spawner))
    yield made
    made.close(1.0)


def serving() -> front.Front:
    parts = cast(Parts, SimpleNamespace(store=None))
    return front.Front(Engine(parts, {"ping": Handler(lambda parts, job: {"ready": True})}))


def test_what_is_asked_before_it_serves_waits(api: life.Api, spawner: Spawner) -> None:
    answers: list[Any] = []
    asking = threading.Thread(
        target=lambda: answers.append(spawner.made[0].client.call("ping", service.Ping(), accept_timeout=10))
    )
    asking.start()
    assert answers == []
    api.open(serving())
    asking.join(10)
    assert answers == [{"ready": True}]
    api.wait_ready(3.0)
    assert spawner.made[0].ready_asked == [3.0]


def test_one_that_dies_is_replaced_again_and_again(api: life.Api, spawner: Spawner) -> None:
    api.open(serving())
    for count in range(1, 6):
        assert wait.until(spawner.answers, 5.0, f"process {count}")
        assert len(spawner.made) == count
        spawner.made[-1].die()
        wait.until(lambda: len(spawner.made) == count + 1, 5.0, "another")  # noqa: B023


def test_one_that_cannot_be_started_is_tried_again(api: life.Api, spawner: Spawner) -> None:
    api.open(serving())
    spawner.failures = [OSError("no memory"), errors.Permanent("no")]
    spawner.made[-1].die()
    wait.until(lambda: len(spawner.made) == 2, 5.0, "the next try")
    assert wait.until(spawner.answers, 5.0, "an answer")


def test_once_closed_none_is_started(api: life.Api, spawner: Spawner) -> None:
    api.open(serving())
    api.close(1.0)
    assert spawner.made[0].stopped
    assert len(spawner.made) == 1


def test_one_that_gives_no_sign_of_life_is_replaced(
    api: life.Api, spawner: Spawner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped by a signal, or stuck: it holds its sockets and its end of the engine socket, and answers nothing."""
    monkeypatch.setattr(life, "_PULSE", 0.05)
    monkeypatch.setattr(life, "_MISSES", 3)
    api.open(serving())
    first = spawner.made[0]
    for _ in range(8):
        assert first.theirs.recv(1) == b"P"
        first.theirs.send(b"P")
    assert first.stopped == []
    wait.until(lambda: first.stopped, 10.0, "the silent one to be killed")
    assert first.stopped[0] == 0.0
    wait.until(lambda: len(spawner.made) > 1, 10.0, "another")


def test_a_controller_that_slept_blames_nobody(
    api: life.Api, spawner: Spawner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unanswered questions are counted, not seconds."""
    monkeypatch.setattr(life, "_PULSE", 0.05)
    real = life.time.monotonic
    ahead = [0.0]
    monkeypatch.setattr(life.time, "monotonic", lambda: real() + ahead[0])
    api.open(serving())
    for number in range(10):
        assert spawner.made[0].theirs.recv(1) == b"P"
        ahead[0] = 10_000.0 * number
        spawner.made[0].theirs.send(b"P")
    assert spawner.made[0].stopped == []
