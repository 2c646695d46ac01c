"""Stopping the clock: at an answer through a published port, or when something has become so."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterable

#: between two looks: short against what is measured, long enough to leave the processors to those who work
_PAUSE = 0.001
#: a connection whose packets somebody drops is tried anew after so long
_TRY = 0.25
_REQUEST = b"GET / HTTP/1.0\r\n\r\n"


def served(ports: Iterable[int], timeout: float = 60.0) -> None:
    """Returns once all of them have answered a request for a page."""
    waiting = list(ports)
    deadline = time.monotonic() + timeout
    while waiting := [port for port in waiting if not answers(port)]:
        if time.monotonic() > deadline:
            raise AssertionError(f"no answer within {timeout:g} s through ports {waiting}")
        time.sleep(_PAUSE)


def answers(port: int) -> bool:
    """Whether a web server answers on 127.0.0.1."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), _TRY) as connection:
        connection.sendall(_REQUEST)
        return connection.recv(64).startswith(b"HTTP/1.")
    return False


def until(predicate: Callable[[], object], what: str, timeout: float = 60.0) -> None:
    deadline = time.monotonic() + timeout
    while not predicate():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:g} s for {what}")
        time.sleep(_PAUSE)


class Stopwatch:
    """``with Stopwatch() as watch: …`` then ``watch.seconds``."""

    seconds = 0.0

    def __enter__(self) -> Stopwatch:
        self._began = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._began
