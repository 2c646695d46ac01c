"""The threads that answer requests, in the form of an executor that gunicorn's worker uses."""

from __future__ import annotations

from collections.abc import Callable
from concurrent import futures
from typing import Any

from reconciler.ipc.pool import Pool


class Threads:
    """At most ``most`` threads, which end when they are not needed for a while, and which hold up nobody's exit."""

    def __init__(self, most: int) -> None:
        self._pool = Pool(most, "request")

    def submit(self, function: Callable[..., Any], *args: Any) -> futures.Future[Any]:
        """As an executor's: what cannot run at once waits."""
        future: futures.Future[Any] = futures.Future()
        self._pool.submit(lambda: _run(future, function, args), wait=True)
        return future

    def shutdown(self, wait: bool = True) -> None:
        """Nothing: the threads end with the process."""


def _run(future: futures.Future[Any], function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    future.set_running_or_notify_cancel()
    try:
        result = function(*args)
    except BaseException as error:  # noqa: BLE001 - kept for the one who asks the future
        future.set_exception(error)
    else:
        future.set_result(result)
