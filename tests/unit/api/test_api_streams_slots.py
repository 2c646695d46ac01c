"""A place for a stream is given back however its beginning fails."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any, cast

import pytest

from reconciler.api import streams
from reconciler.api.problems import Refused
from reconciler.ipc import Stream


class Job:
    """A job that is there and says nothing; ``number`` is its descriptor."""

    started = ended = False

    def __init__(self, number: int) -> None:
        self._number = number
        self.closed = 0

    def fileno(self) -> int:
        return self._number

    def pending(self) -> bool:
        return False

    def close(self) -> None:
        self.closed += 1


def failing() -> Stream:
    raise OSError("no")


@pytest.fixture
def one() -> streams.Streams:
    return streams.Streams(most=1)


def free(one: streams.Streams) -> bool:
    try:
        one.enter()
    except Refused:
        return False
    one.leave()
    return True


def begin_lines(one: streams.Streams, client: int, job: Callable[..., Stream]) -> Any:
    return streams.Lines(one, client, job, lambda problem: problem)


def begin_output(one: streams.Streams, client: int, job: Callable[..., Stream]) -> Any:
    return streams.Output(one, client, lambda pipe: job())


@pytest.mark.parametrize("begin", [begin_lines, begin_output])
def test_a_client_that_has_gone_before_it_is_watched(one: streams.Streams, begin: Callable[..., Any]) -> None:
    """Its descriptor cannot be registered any more."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        job = Job(ours.fileno())
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises((OSError, ValueError, OverflowError)):
            begin(one, 1 << 40, lambda: cast(Stream, job))
        assert job.closed == 1
        assert free(one)
        assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("begin", [begin_lines, begin_output])
def test_a_job_that_is_gone_before_it_is_watched(one: streams.Streams, begin: Callable[..., Any]) -> None:
    job = Job(-1)
    with pytest.raises((OSError, ValueError)):
        begin(one, -1, lambda: cast(Stream, job))
    assert job.closed == 1
    assert free(one)


@pytest.mark.parametrize("begin", [begin_lines, begin_output])
def test_a_job_that_is_not_taken(one: streams.Streams, begin: Callable[..., Any]) -> None:
    with pytest.raises(OSError, match="no"):
        begin(one, -1, failing)
    assert free(one)
