"""Work on an image for somebody who watches it: `pydock pull` and its like.

One pull of a reference at a time: who comes second is told of the first one's progress, then finds all there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent import futures
from typing import TypeVar

from reconciler import errors, ipc
from reconciler.images.caller import Caller
from reconciler.images.pull_progress import Follower
from reconciler.images.service import ImageService

T = TypeVar("T")

#: seconds between two words to the caller
_TICK = 0.1


def run(service: ImageService, caller: Caller, reference: str, work: Callable[[threading.Event], T]) -> T:
    """Does ``work`` once nobody else pulls ``reference``, and emits the progress of whoever does. ``work`` is given an
    event that is set when it is to give up: the caller has left, or the daemon ends."""
    with service.running.followed(reference) as follower:
        while True:
            with service.locks.try_hold(reference) as mine:
                if mine:
                    return _watched(caller, follower, work)
            _tell(caller, follower)
            if caller.gone():
                raise ipc.CallerLeft
            if caller.stopping.wait(_TICK):
                raise errors.Temporary(f"image {reference}: not pulled: pydockd is shutting down")


def _watched(caller: Caller, follower: Follower, work: Callable[[threading.Event], T]) -> T:
    """``work`` in a thread of its own, so that a caller who does not read holds up nothing."""
    stop = threading.Event()
    with futures.ThreadPoolExecutor(1, thread_name_prefix="pull-for") as pool:
        done = pool.submit(work, stop)
        try:
            while not futures.wait([done], _TICK).done:
                _tell(caller, follower)
                if caller.gone():
                    raise ipc.CallerLeft
                if caller.stopping.is_set():
                    stop.set()
        except BaseException:
            stop.set()
            raise
    _tell(caller, follower)
    return done.result()


def _tell(caller: Caller, follower: Follower) -> None:
    for item in follower.news():
        caller.emit(item)
