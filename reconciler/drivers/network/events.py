"""The sockets that tell of changes: of nftables, of the host's links, and of links inside the namespaces."""

from __future__ import annotations

import contextlib
import threading

from reconciler.drivers.network import links, netlink
from reconciler.drivers.network.pyroute import nfnetlink


class Events:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: dict[int, netlink.Socket] = {}
        self._own: list[netlink.Socket] = []
        for protocol, groups in (
            (netlink.NETFILTER, (nfnetlink.NFNLGRP_NFTABLES,)),
            (netlink.ROUTE, links.EVENT_GROUPS),
        ):
            opened = netlink.Socket(protocol, groups)
            self._own.append(opened)
            self.add(opened)

    def add(self, opened: netlink.Socket) -> None:
        """Listens to a socket too; it stays its owner's."""
        with self._lock:
            self._sockets[opened.fileno()] = opened

    def discard(self, opened: netlink.Socket) -> None:
        """Forgets a socket, before its owner closes it."""
        with self._lock:
            self._sockets.pop(opened.fileno(), None)

    def fds(self) -> tuple[int, ...]:
        with self._lock:
            return tuple(self._sockets)

    def drain(self, fd: int) -> None:
        """Reads one socket empty; a descriptor that went meanwhile is no error."""
        with self._lock:
            found = self._sockets.get(fd)
        if found is not None:
            with contextlib.suppress(OSError):
                found.drain()

    def close(self) -> None:
        with self._lock:
            self._sockets.clear()
        for opened in self._own:
            opened.close()
