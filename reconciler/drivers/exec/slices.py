"""The instance's slice, and the one above it on hosts where systemd makes them: gone when nothing is in them.

systemd makes a slice for the first scope in it, and keeps it until somebody stops it. To stop one stops all that is in
it, so it is done only to an empty one, and for ``pydock.slice``, which the host's instances share, under a lock that
each holds (shared) while it makes a scope.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator

from reconciler.drivers.exec import cgroups, groups, systemd
from reconciler.errors import Temporary

#: the host's, as the slice is; below /run, so it ends with the boot
LOCK = "/run/pydock-slices.lock"
#: how long systemd may take to remove the group of a slice that it has stopped
_PATIENCE = 1.0


@contextlib.contextmanager
def in_use(where: groups.Groups) -> Iterator[None]:
    """No other instance stops the slice above ours meanwhile."""
    if not where.systemd:
        yield
        return
    with _locked(fcntl.LOCK_SH):
        yield


def drop(where: groups.Groups) -> None:
    """Removes the slice if nothing is in it. The caller sees to it that this instance makes nothing meanwhile."""
    if not where.systemd:
        cgroups.remove_empty(where.layout, where.top)
    elif _empty(where.layout, where.top):
        # an empty slice does no harm, and the next removal asks again
        with contextlib.suppress(Temporary, BlockingIOError):
            systemd.send(systemd.stop_message(where.slice))
            _drop_parent(where)


def _drop_parent(where: groups.Groups) -> None:
    parent = where.top.partition("/")[0]
    deadline = time.monotonic() + _PATIENCE
    while cgroups.exists(where.layout, where.top) and time.monotonic() < deadline:
        time.sleep(0.005)
    with _locked(fcntl.LOCK_EX | fcntl.LOCK_NB):
        if _empty(where.layout, parent):
            systemd.send(systemd.stop_message(parent))


def _empty(layout: cgroups.Layout, path: str) -> bool:
    """Whether the group is there, with no group and no process in it."""
    return cgroups.exists(layout, path) and not cgroups.children(layout, path) and not cgroups.members(layout, path)


@contextlib.contextmanager
def _locked(how: int) -> Iterator[None]:
    """Raises ``BlockingIOError`` where it is not to wait."""
    descriptor = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)
