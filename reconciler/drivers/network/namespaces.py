"""Network namespaces of endpoints: a file each, the namespace bound on it; and sockets kept inside.

A socket belongs for ever to the namespace it was made in, so one throwaway thread at the beginning is all the moving
between namespaces there is. The kept sockets also hold the namespace itself: should somebody unmount its file, it is
bound again.

Copies of our mounts in other mount namespaces do no harm: unlinking a file takes mounts on it away everywhere.

IPv6: pydock gives no v6 addresses yet, so links made inside start with disable_ipv6 (no link-local address, no router
advertisement believed); ``::1`` on lo stays for the sake of programs that expect it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from reconciler import failpoints
from reconciler.drivers.network import links, netlink, owners, system

_GET_TYPE = 0xB703  # NS_GET_NSTYPE, include/uapi/linux/nsfs.h
_GET_SOCKET_NAMESPACE = 0x894C  # SIOCGSKNS, include/uapi/linux/sockios.h
_OWN = "/proc/thread-self/ns/net"


class Opened(NamedTuple):
    """``queries`` asks and changes inside, ``events`` tells of changes there; ``identity`` names the namespace
    (device and inode of nsfs)."""

    queries: netlink.Socket
    events: netlink.Socket
    identity: tuple[int, int]

    def close(self) -> None:
        self.queries.close()
        self.events.close()


class Namespaces:
    """The namespaces of one instance, below ``directory``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)

    def path(self, uid: str) -> str:
        return str(self._directory / uid)

    def list(self) -> list[str]:
        """The uids of which there is a file, with or without a namespace on it. What is named otherwise is not ours."""
        return sorted(filter(owners.valid_uid, os.listdir(self._directory)))

    def create(self, uid: str) -> Opened:
        """A new namespace, bound on its file last: what can be seen is complete."""
        path = self.path(uid)

        def inside() -> Opened:
            system.unshare_network()
            system.write_setting("net/ipv6/conf/default/disable_ipv6", "1")
            opened = _sockets()
            try:
                self._bind(_OWN, path)
            except BaseException:
                opened.close()
                raise
            return opened

        return system.in_thread(inside)

    def open(self, uid: str) -> Opened | None:
        """Sockets inside an existing one; None when there is none (an empty file is what a crash left)."""
        try:
            with self.descriptor(uid) as descriptor:
                return _open_inside(descriptor) if _is_namespace(descriptor) else None
        except FileNotFoundError:
            return None

    @contextlib.contextmanager
    def descriptor(self, uid: str) -> Iterator[int]:
        """The file, opened until the end of the block."""
        descriptor = os.open(self.path(uid), os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def mounted(self, uid: str, opened: Opened) -> bool:
        """Whether the file is (still) this namespace."""
        try:
            return _identity(self.path(uid)) == opened.identity
        except FileNotFoundError:
            return False

    def bind_again(self, uid: str, opened: Opened) -> None:
        """Brings the file back for a namespace that is held by our sockets."""
        descriptor = fcntl.ioctl(opened.queries.fileno(), _GET_SOCKET_NAMESPACE)
        try:
            self._bind(f"/proc/self/fd/{descriptor}", self.path(uid))
        finally:
            os.close(descriptor)

    def remove(self, uid: str) -> None:
        """Unmounts and unlinks; the namespace ends when no process is in it. Nothing there: no effect."""
        path = self.path(uid)
        _unmount_all(path)
        failpoints.hit("network.namespace.unmount.after")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        failpoints.hit("network.namespace.unlink.after")

    def _bind(self, source: str, path: str) -> None:
        _unmount_all(path)
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o444))
        failpoints.hit("network.namespace.file.after")
        system.bind_mount(source, path)
        failpoints.hit("network.namespace.bind.after")


def _open_inside(descriptor: int) -> Opened:
    def inside() -> Opened:
        system.enter_network(descriptor)
        return _sockets()

    return system.in_thread(inside)


def _sockets() -> Opened:
    queries = netlink.Socket(netlink.ROUTE)
    try:
        return Opened(queries, netlink.Socket(netlink.ROUTE, links.EVENT_GROUPS), _identity(_OWN))
    except BaseException:
        queries.close()
        raise


def _identity(path: str) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino


def _is_namespace(descriptor: int) -> bool:
    try:
        return fcntl.ioctl(descriptor, _GET_TYPE) == system.CLONE_NEWNET
    except OSError:
        return False


def _unmount_all(path: str) -> None:
    """Takes away every mount on ``path`` (two can lie on one another after a crash)."""
    while True:
        try:
            system.unmount(path)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT):
                return
            raise
