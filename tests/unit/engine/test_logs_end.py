"""Following a log ends when nothing more can come."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator

import pytest

from reconciler.engine.job import Job
from reconciler.testing.loop import Loop, container, container_key

WEB = container_key("web")


def finish(loop: Loop, code: int) -> None:
    """The process ends, and the loop sees it."""
    incarnation = loop.observed("web").incarnation
    assert incarnation is not None
    loop.exec.finish(incarnation.id, code)
    loop.look(WEB, closely=True)


class Follower:
    """A job that follows ``web``; ``gone`` makes its caller leave."""

    def __init__(self, loop: Loop) -> None:
        self._read, self._write = os.pipe()
        self._gone = os.eventfd(0)
        args = {"namespace": "default", "name": "web", "follow": True}
        self.job = Job("logs", args=args, fds=(self._write,), gone_fd=self._gone)
        self._thread = threading.Thread(target=loop.engine.run, args=(self.job,), daemon=True)
        self._thread.start()

    def gone(self) -> None:
        os.eventfd_write(self._gone, 1)

    def goes_on(self) -> bool:
        self._thread.join(0.1)
        return self._thread.is_alive()

    def ends(self) -> bool:
        self._thread.join(10)
        return not self._thread.is_alive()

    def close(self) -> None:
        self.gone()
        self._thread.join(10)
        for fd in (self._read, self._write, self._gone):
            os.close(fd)


@pytest.fixture
def follower(loop: Loop) -> Iterator[Callable[[], Follower]]:
    made: list[Follower] = []

    def follow() -> Follower:
        made.append(Follower(loop))
        return made[-1]

    yield follow
    for each in made:
        each.close()


ENDS: dict[str, Callable[[Loop], object]] = {
    "deleted": lambda loop: loop.delete(WEB),
    "done": lambda loop: finish(loop, 0),
    "failed": lambda loop: finish(loop, 7),
    "stopped": lambda loop: (loop.ask("override", namespace="default", name="web", action="stop"), loop.settle()),
}


@pytest.mark.parametrize("end", ENDS)
def test_it_ends_with_the_container(loop: Loop, follower: Callable[[], Follower], end: str) -> None:
    loop.apply(container("web", restartPolicy="Never"))
    following = follower()
    assert following.goes_on()
    ENDS[end](loop)
    assert following.ends()
    assert following.job.status == "done"


@pytest.mark.parametrize("end", [end for end in ENDS if end != "deleted"])
def test_what_has_ended_before_ends_at_once(loop: Loop, follower: Callable[[], Follower], end: str) -> None:
    loop.apply(container("web", restartPolicy="Never"))
    ENDS[end](loop)
    assert follower().ends()


def test_a_restart_by_policy_is_followed(loop: Loop, follower: Callable[[], Follower]) -> None:
    loop.apply(container("web"))
    following = follower()
    finish(loop, 1)
    assert loop.observed("web").process == "running"
    assert following.goes_on()
    finish(loop, 1)  # it waits for its back-off
    assert following.goes_on()


def test_a_caller_that_leaves_ends_it(loop: Loop, follower: Callable[[], Follower]) -> None:
    loop.apply(container("web"))
    following = follower()
    following.gone()
    assert following.ends()
    loop.apply(container("web", hostname="x"))  # a change that nobody listens to any more
