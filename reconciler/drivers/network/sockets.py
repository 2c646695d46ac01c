"""Which process listens on a port: asked of the kernel (sock_diag), not tried by binding.

A bind would also fail for a connection that merely happens to use the port as its own end, which is no conflict:
its packets belong to an established connection and never meet the published port.

The port is not reserved by a socket of ours either: a reservation would end with the daemon while the containers run
on, and would cost a descriptor for every port. So a process that binds a published port later succeeds, and gets
nothing.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from reconciler.drivers.network import codec, netlink
from reconciler.drivers.network.base import PublishedPort
from reconciler.drivers.network.pyroute import diag

_PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}
#: bit masks of states: TCP_LISTEN, and TCP_CLOSE, which is what an unconnected UDP socket has
_STATES = {"tcp": 1 << 10, "udp": 1 << 7}
_NOT_SUPPORTED = (
    errno.ENOENT,
    errno.EINVAL,
    errno.EOPNOTSUPP,
    errno.EAFNOSUPPORT,
)  # this kernel has no such sockets or no diag module


class Listener(NamedTuple):
    """A bound socket: ``address`` is 0.0.0.0 for every one."""

    address: str
    inode: int


def conflict(port: PublishedPort) -> str:
    """Who listens where ``port`` is to be published, as words for an error; empty when nobody does."""
    for listener in _listeners(port.protocol, port.host_port):
        if "0.0.0.0" in (listener.address, port.host_ip) or listener.address == port.host_ip:
            return f"{_owner(listener.inode)} listening on {listener.address}:{port.host_port}"
    return ""


def _listeners(protocol: str, port: int) -> Iterator[Listener]:
    with contextlib.closing(netlink.Socket(netlink.SOCK_DIAG)) as kernel:
        for family in (socket.AF_INET, socket.AF_INET6):
            yield from _of_family(kernel, family, protocol, port)


def _of_family(kernel: netlink.Socket, family: int, protocol: str, port: int) -> Iterator[Listener]:
    asked = {
        "sdiag_family": family,
        "sdiag_protocol": _PROTOCOLS[protocol],
        "idiag_states": _STATES[protocol],
        "idiag_sport": port,
        "idiag_src": (0,) * 4,
        "idiag_dst": (0,) * 4,
        "idiag_cookie": (1 << 64) - 1,
    }
    body = codec.encode(diag.inet_diag_req, asked)
    try:
        replies = kernel.dump(netlink.Message(diag.SOCK_DIAG_BY_FAMILY, 0, body))
    except OSError as error:
        if error.errno in _NOT_SUPPORTED:
            return
        raise
    for reply in replies:
        listener = _read(reply.body, port)
        if listener is not None:
            yield listener


def _read(body: memoryview, port: int) -> Listener | None:
    """A socket that IPv4 clients of ``port`` reach; None for any other."""
    found = codec.decode(diag.inet_diag_msg, body)
    if found["idiag_sport"] != port:
        return None
    source, inode = found["idiag_src"], found["idiag_inode"]
    if found["idiag_family"] == socket.AF_INET:
        return Listener(source, inode)
    mapped = ipaddress.IPv6Address(source).ipv4_mapped
    if mapped is not None:
        return Listener(str(mapped), inode)
    if found.get_attr("INET_DIAG_SKV6ONLY") or not ipaddress.IPv6Address(source).is_unspecified:
        return None
    return Listener("0.0.0.0", inode)


def _owner(inode: int) -> str:
    """The process that has the socket open (a walk through /proc, made only when there is a conflict to explain)."""
    wanted = f"socket:[{inode}]"
    for process in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if wanted in _open_files(process):
                name = Path("/proc", process, "comm").read_text().strip()
                return f"process {name} (pid {process})"
    return "a process"


def _open_files(process: str) -> Iterator[str]:
    """What a process's descriptors are open on."""
    directory = f"/proc/{process}/fd"
    for descriptor in os.listdir(directory):
        with contextlib.suppress(OSError):
            yield os.readlink(f"{directory}/{descriptor}")
