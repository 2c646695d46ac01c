"""Forgetting tracked connections that would keep traffic away from where it now belongs.

A UDP client that keeps sending keeps its entry alive: without this, one that sent before the port was published
would never reach the container, and one that sent to a removed container would be led into nowhere for good.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Callable, Container, Iterable
from typing import Any

from reconciler.drivers.network import codec, netlink
from reconciler.drivers.network.codec import nested
from reconciler.drivers.network.netlink import Message, Reply
from reconciler.drivers.network.pyroute import nfgen_msg, nfnetlink, nla

_AS_RECEIVED = "the original tuple, encoded"


class Flow(nfgen_msg):  # type: ignore[misc]
    """What we need of pyroute2's ``nfct_msg``: that one's module loads asyncio for the sake of its socket."""

    class Tuple(nla):  # type: ignore[misc]
        class Address(nla):  # type: ignore[misc]
            nla_map = ((1, "CTA_IP_V4_SRC", "ip4addr"), (2, "CTA_IP_V4_DST", "ip4addr"))

        class Protocol(nla):  # type: ignore[misc]
            nla_map = ((1, "CTA_PROTO_NUM", "uint8"), (3, "CTA_PROTO_DST_PORT", "be16"))

        nla_map = ((1, "CTA_TUPLE_IP", "Address|nested"), (2, "CTA_TUPLE_PROTO", "Protocol|nested"))

    class Filter(nla):  # type: ignore[misc]
        nla_map = ((1, "CTA_FILTER_ORIG_FLAGS", "uint32"), (2, "CTA_FILTER_REPLY_FLAGS", "uint32"))

    nla_map = (
        (1, _AS_RECEIVED, "cdata|nested"),
        (1, "CTA_TUPLE_ORIG", "Tuple|nested"),
        (2, "CTA_TUPLE_REPLY", "Tuple|nested"),
        (25, "CTA_FILTER", "Filter|nested"),
    )


_GET, _DELETE = ((nfnetlink.NFNL_SUBSYS_CTNETLINK << 8) | kind for kind in (1, 2))
_FIXED = Flow.get_size()
(_ORIGINAL,) = codec.numbers(Flow, "CTA_TUPLE_ORIG")
(_ADDRESS,) = codec.numbers(Flow.Tuple, "CTA_TUPLE_IP")
(_DESTINATION,) = codec.numbers(Flow.Tuple.Address, "CTA_IP_V4_DST")
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
    return socket.inet_ntoa(codec.attributes(original[_ADDRESS])[_DESTINATION])


def _request(kind: int, *attributes: tuple[str, Any]) -> Message:
    return Message(kind, 0, codec.encode(Flow, {"nfgen_family": socket.AF_INET}, attributes), (errno.ENOENT,))


def _forget(chosen: codec.Attributes, accept: Callable[[Reply], bool] = lambda entry: True) -> None:
    with contextlib.closing(netlink.Socket(netlink.NETFILTER)) as tracker:
        try:
            entries = tracker.dump(_request(_GET, *chosen))
        except OSError as error:
            if error.errno in _NOT_SUPPORTED:
                return
            raise
        tracker.change([_deletion(entry) for entry in entries if accept(entry)])


def _deletion(entry: Reply) -> Message:
    original = bytes(codec.attributes(entry.body, _FIXED)[_ORIGINAL])
    return _request(_DELETE, (_AS_RECEIVED, original))
