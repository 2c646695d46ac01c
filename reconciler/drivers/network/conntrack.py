"""Forgetting tracked connections that would keep traffic away from where it now belongs.

A UDP client that keeps sending keeps its entry alive: without this, one that sent before the port was published
would never reach the container, and one that sent to a removed container would be led into nowhere for good.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from collections.abc import Callable, Container, Iterable

from reconciler.drivers.network import netlink
from reconciler.drivers.network.netlink import Message, Reply, attribute, attributes, nested, u8, u32

_GET, _DELETE = (1 << 8) | 1, (1 << 8) | 2
_HEADER = struct.pack("=BBH", socket.AF_INET, 0, 0)
_TUPLE_ORIGINAL, _TUPLE_REPLY, _FILTER = 1, 2, 25
_TUPLE_IP, _TUPLE_PROTO = 1, 2
_IP_SOURCE, _IP_DESTINATION = 1, 2
_PROTO_NUMBER, _PROTO_DESTINATION_PORT = 1, 3
_FILTER_ORIGINAL, _FILTER_REPLY = 1, 2
#: which fields of a tuple count (kernel: net/netfilter/nf_internals.h, CTA_FILTER_F_*)
_MATCH_SOURCE, _MATCH_PROTOCOL, _MATCH_DESTINATION_PORT = 1, 1 << 3, 1 << 5
_UDP = 17
#: no such module, or a kernel older than 5.8: entries then go by themselves, two minutes after the last packet
_NOT_SUPPORTED = (errno.ENOENT, errno.EINVAL, errno.EOPNOTSUPP)


def forget_address(address: str) -> None:
    """Forgets connections that a published port leads to a container's ``address``."""
    replier = nested(_TUPLE_REPLY, nested(_TUPLE_IP, attribute(_IP_SOURCE, socket.inet_aton(address))))
    chosen = nested(_FILTER, u32(_FILTER_ORIGINAL, 0), u32(_FILTER_REPLY, _MATCH_SOURCE))
    _forget(replier + chosen)


def forget_ports(numbers: Iterable[int], local: Container[str]) -> None:
    """Forgets UDP flows towards these ports of the host, wherever they lead. (TCP connections start anew anyway.)
    ``local`` are the host's addresses: what merely passes through keeps its flows."""
    flags = _MATCH_PROTOCOL | _MATCH_DESTINATION_PORT
    for number in numbers:
        port = attribute(_PROTO_DESTINATION_PORT, number.to_bytes(2, "big"))
        towards = nested(_TUPLE_ORIGINAL, nested(_TUPLE_PROTO, u8(_PROTO_NUMBER, _UDP), port))
        chosen = nested(_FILTER, u32(_FILTER_ORIGINAL, flags), u32(_FILTER_REPLY, 0))
        _forget(towards + chosen, lambda entry: _destination(entry) in local)


def _destination(entry: Reply) -> str:
    """Where the first packet of a tracked flow went."""
    original = attributes(attributes(entry.body, len(_HEADER))[_TUPLE_ORIGINAL])
    return socket.inet_ntoa(attributes(original[_TUPLE_IP])[_IP_DESTINATION])


def _forget(chosen: bytes, accept: Callable[[Reply], bool] = lambda entry: True) -> None:
    with contextlib.closing(netlink.Socket(netlink.NETLINK_NETFILTER)) as tracker:
        try:
            entries = tracker.dump(Message(_GET, 0, _HEADER + chosen))
        except OSError as error:
            if error.errno in _NOT_SUPPORTED:
                return
            raise
        tracker.change([_deletion(entry) for entry in entries if accept(entry)])


def _deletion(entry: Reply) -> Message:
    original = bytes(attributes(entry.body, len(_HEADER))[_TUPLE_ORIGINAL])
    return Message(_DELETE, 0, _HEADER + nested(_TUPLE_ORIGINAL, original), (errno.ENOENT,))
