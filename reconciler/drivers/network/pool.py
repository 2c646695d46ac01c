"""Netlink sockets of the host's namespace, lent to whoever works: a socket serves one thread at a time."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from reconciler.drivers.network import netlink

_KEPT = 8


class Pool:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free: list[netlink.Socket] = []
        self._closed = False

    @contextlib.contextmanager
    def socket(self) -> Iterator[netlink.Socket]:
        """A rtnetlink socket until the end of the block. One that saw an exception is not used again: answers to an
        interrupted request may still come."""
        with self._lock:
            lent = self._free.pop() if self._free else None
        lent = lent or netlink.Socket(netlink.ROUTE)
        try:
            yield lent
        except BaseException:
            lent.close()
            raise
        self._give_back(lent)

    def _give_back(self, lent: netlink.Socket) -> None:
        with self._lock:
            if not self._closed and len(self._free) < _KEPT:
                self._free.append(lent)
                return
        lent.close()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            free, self._free = self._free, []
        for unused in free:
            unused.close()
