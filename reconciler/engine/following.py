"""Work on an image for somebody who watches it: `pydock pull` and its like.

One pull of a reference at a time: who comes second is told of the first one's progress, then finds all there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent import futures
from typing import TypeVar

from reconciler import errors, ipc
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.engine.transfers import Follower

T = TypeVar("T")

#: seconds between two words to the caller
_TICK = 0.1


def run(parts: Parts, job: Job, reference: str, work: Callable[[threading.Event], T]) -> T:
    """Does ``work`` once nobody else pulls ``reference``, and emits the progress of whoever does. ``work`` is given an
    event that is set when it is to give up: the caller has left, or the daemon ends."""
    with parts.transfers.followed(reference) as follower:
        while True:
            with parts.pulls.try_hold(reference) as mine:
                if mine:
                    return _watched(job, follower, work)
            _tell(job, follower)
            if job.gone():
                raise ipc.CallerLeft
            if job.stopping.wait(_TICK):
                raise errors.Temporary(f"image {reference}: not pulled: pydockd is shutting down")


def _watched(job: Job, follower: Follower, work: Callable[[threading.Event], T]) -> T:
    """``work`` in a thread of its own, so that a caller who does not read holds up nothing."""
    stop = threading.Event()
    with futures.ThreadPoolExecutor(1, thread_name_prefix="pull-for") as pool:
        done = pool.submit(work, stop)
        try:
            while not futures.wait([done], _TICK).done:
                _tell(job, follower)
                if job.gone():
                    raise ipc.CallerLeft
                if job.stopping.is_set():
                    stop.set()
        except BaseException:
            stop.set()
            raise
    _tell(job, follower)
    return done.result()


def _tell(job: Job, follower: Follower) -> None:
    for item in follower.news():
        job.emit(item)
