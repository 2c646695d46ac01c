"""Forgetting tracked connections that would keep traffic away from where it now belongs.

A UDP client that keeps sending keeps its entry alive: without this, one that sent before the port was published
would never reach the container, and one that sent to a removed container would be led into nowhere for good.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Callable, Container, Iterable

from reconciler.drivers.network import codec, netlink
from reconciler.drivers.network.codec import nested
from reconciler.drivers.network.netlink import Message, Reply
from reconciler.drivers.network.pyroute import nfctsocket, nfnetlink

_GET = (nfnetlink.NFNL_SUBSYS_CTNETLINK << 8) | nfctsocket.IPCTNL_MSG_CT_GET
_DELETE = (nfnetlink.NFNL_SUBSYS_CTNETLINK << 8) | nfctsocket.IPCTNL_MSG_CT_DELETE
_FIXED = nfctsocket.nfct_msg.get_size()
(_ORIGINAL,) = codec.numbers(nfctsocket.nfct_msg, "CTA_TUPLE_ORIG")
(_ADDRESSES,) = codec.numbers(nfctsocket.nfct_msg.cta_tuple, "CTA_TUPLE_IP")
(_DESTINATION,) = codec.numbers(nfctsocket.nfct_msg.cta_tuple.cta_ip, "CTA_IP_V4_DST")
#: which fields of a tuple count (kernel: net/netfilter/nf_internals.h, CTA_FILTER_F_*)
_MATCH_SOURCE, _MATCH_PROTOCOL, _MATCH_DESTINATION_PORT = 1, 1 << 3, 1 << 5
#: no such module, or a kernel older than 5.8: entries then go by themselves, two minutes after the last packet
_NOT_SUPPORTED = (errno.ENOENT, errno.EINVAL, errno.EOPNOTSUPP)


def forget_address(address: str) -> None:
    """Forgets connections that a published port leads to a container's ``address``."""
    replier = nested(("CTA_TUPLE_IP", nested(("CTA_IP_V4_SRC", address))))
    chosen = nested(("CTA_FILTER_ORIG_FLAGS", 0), ("CTA_FILTER_REPLY_FLAGS", _MATCH_SOURCE))
    _forget([("CTA_TUPLE_REPLY", replier), ("CTA_FILTER", chosen)])


def forget_ports(numbers: Iterable[int], local: Container[str]) -> None:
    """Forgets UDP flows towards these ports of the host, wherever they lead. (TCP connections start anew anyway.)
    ``local`` are the host's addresses: what merely passes through keeps its flows."""
    flags = _MATCH_PROTOCOL | _MATCH_DESTINATION_PORT
    chosen = nested(("CTA_FILTER_ORIG_FLAGS", flags), ("CTA_FILTER_REPLY_FLAGS", 0))
    for number in numbers:
        port = nested(("CTA_PROTO_NUM", socket.IPPROTO_UDP), ("CTA_PROTO_DST_PORT", number))
        towards = nested(("CTA_TUPLE_PROTO", port))
        _forget([("CTA_TUPLE_ORIG", towards), ("CTA_FILTER", chosen)], lambda entry: _destination(entry) in local)


def _destination(entry: Reply) -> str:
    """Where the first packet of a tracked flow went."""
    original = codec.attributes(codec.attributes(entry.body, _FIXED)[_ORIGINAL])
    return socket.inet_ntoa(codec.attributes(original[_ADDRESSES])[_DESTINATION])


def _body(attributes: codec.Attributes = ()) -> bytes:
    return codec.encode(nfctsocket.nfct_msg, {"nfgen_family": socket.AF_INET}, attributes)


def _forget(chosen: codec.Attributes, accept: Callable[[Reply], bool] = lambda entry: True) -> None:
    with contextlib.closing(netlink.Socket(netlink.NETFILTER)) as tracker:
        try:
            entries = tracker.dump(Message(_GET, 0, _body(chosen)))
        except OSError as error:
            if error.errno in _NOT_SUPPORTED:
                return
            raise
        tracker.change([_deletion(entry) for entry in entries if accept(entry)])


def _deletion(entry: Reply) -> Message:
    original = codec.attributes(entry.body, _FIXED)[_ORIGINAL]
    return Message(_DELETE, 0, _body() + codec.again(_ORIGINAL, original), (errno.ENOENT,))
