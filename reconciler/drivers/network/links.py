"""Links, addresses and routes: what the driver asks of rtnetlink, and what it reads back."""

from __future__ import annotations

import errno
import functools
import socket
from typing import Any, NamedTuple

from reconciler.drivers.network import codec
from reconciler.drivers.network.codec import integer, nested, string
from reconciler.drivers.network.netlink import CREATE, EXCLUSIVE, REPLACE, Message, Reply
from reconciler.drivers.network.pyroute import IFF_RUNNING, IFF_UP, ifaddrmsg, ifinfmsg, ndmsg, neighbours, rtmsg, rtnl

_LINK, _ADDRESS, _ROUTE = (codec.layout(declared.fields) for declared in (ifinfmsg, ifaddrmsg, rtmsg))
_IFNAME, _IFALIAS, _MTU, _MAC, _MASTER, _PEER, _LINKINFO = codec.numbers(
    ifinfmsg, "IFLA_IFNAME", "IFLA_IFALIAS", "IFLA_MTU", "IFLA_ADDRESS", "IFLA_MASTER", "IFLA_LINK", "IFLA_LINKINFO"
)
_KIND, _PORT = codec.numbers(ifinfmsg.ifinfo, "IFLA_INFO_KIND", "IFLA_INFO_SLAVE_DATA")
(_HAIRPIN,) = codec.numbers(ifinfmsg.ifinfo.bridge_slave_data, "IFLA_BRPORT_MODE")
_LOCAL, _ANY = codec.numbers(ifaddrmsg, "IFA_LOCAL", "IFA_ADDRESS")
_DESTINATION, _GATEWAY, _OUT = codec.numbers(rtmsg, "RTA_DST", "RTA_GATEWAY", "RTA_OIF")

#: RTEXT_FILTER_SKIP_STATS (linux/rtnetlink.h) and RTM_F_FIB_MATCH, which pyroute2 does not name
_SKIP_STATISTICS, _FIB_MATCH = 8, 0x2000
_TABLE_MAIN = 254
#: so many questions are kept in their encoded form
_QUESTIONS = 512

#: multicast groups of NETLINK_ROUTE that tell of links, IPv4 addresses and IPv4 routes
EVENT_GROUPS = (rtnl.RTNLGRP_LINK, rtnl.RTNLGRP_IPV4_IFADDR, rtnl.RTNLGRP_IPV4_ROUTE)


class Link(NamedTuple):
    """A link: ``peer`` is the index of a veth's other end, ``master`` 0 when it is in no bridge. ``running``: it passes
    packets; the kernel sees to that a little after its other end (a bridge's port) has come up."""

    ifindex: int
    name: str
    kind: str
    alias: str
    up: bool
    mtu: int
    mac: str
    master: int
    peer: int
    hairpin: bool
    running: bool = False


class Address(NamedTuple):
    ifindex: int
    address: str
    prefix: int


class Route(NamedTuple):
    """A unicast route; ``destination`` is ``0.0.0.0`` with ``prefix`` 0 for the default one, ``gateway`` empty for a
    direct one."""

    destination: str
    prefix: int
    gateway: str
    ifindex: int


def _change(name: str, *attributes: tuple[str, Any], up: bool | None = None, flags: int = 0) -> Message:
    """A new link, or the change of an existing one."""
    fields = {} if up is None else {"flags": IFF_UP if up else 0, "change": IFF_UP}
    return Message(rtnl.RTM_NEWLINK, flags, codec.encode(ifinfmsg, fields, [("IFLA_IFNAME", name), *attributes]))


def add_bridge(name: str, mac: str) -> Message:
    """A bridge, down. Without spanning tree and forward delay a new port passes packets at once. Its MTU is to be set
    afterwards: one given here the kernel would change whenever a port comes or goes."""
    settings = nested(("IFLA_BR_FORWARD_DELAY", 0), ("IFLA_BR_STP_STATE", 0))
    info = nested(("IFLA_INFO_KIND", "bridge"), ("IFLA_INFO_DATA", settings))
    new = _change(name, ("IFLA_ADDRESS", mac), ("IFLA_LINKINFO", info), flags=CREATE | EXCLUSIVE)
    return new._replace(tolerated=(errno.EEXIST,))


def add_veth(name: str, master: int, peer: str, peer_mac: str, mtu: int, netns_fd: int) -> Message:
    """A veth pair, both ends down, the one in the bridge ``master``, the other born inside the namespace (moving it
    there later would cost more)."""
    other = nested(("IFLA_IFNAME", peer), ("IFLA_ADDRESS", peer_mac), ("IFLA_MTU", mtu), ("IFLA_NET_NS_FD", netns_fd))
    info = nested(("IFLA_INFO_KIND", "veth"), ("IFLA_INFO_DATA", nested(("VETH_INFO_PEER", other))))
    mine = (("IFLA_MTU", mtu), ("IFLA_MASTER", master), ("IFLA_LINKINFO", info))
    return _change(name, *mine, flags=CREATE | EXCLUSIVE)


def set_link(
    name: str, *, alias: str = "", mac: str = "", mtu: int = 0, master: int = 0, up: bool | None = None
) -> Message:
    """Changes what is given of an existing link."""
    given = (("IFLA_IFALIAS", alias), ("IFLA_ADDRESS", mac), ("IFLA_MTU", mtu), ("IFLA_MASTER", master))
    return _change(name, *((key, value) for key, value in given if value), up=up)


def set_hairpin(name: str) -> Message:
    """Lets a bridge send a frame back through the port it came from. With bridge-nf-call-iptables on, a container that
    asks for its own published port needs it. A message of its own: the kernel looks at it before it sets a master."""
    port = nested(("IFLA_BRPORT_MODE", 1))
    info = nested(("IFLA_INFO_SLAVE_KIND", "bridge"), ("IFLA_INFO_SLAVE_DATA", port))
    return _change(name, ("IFLA_LINKINFO", info))


def attach(name: str, master: int) -> list[Message]:
    """Puts an existing veth into a bridge, as ``add_veth`` and ``set_hairpin`` do with a new one."""
    return [set_link(name, master=master), set_hairpin(name), set_link(name, up=True)]


def delete_link(name: str) -> Message:
    return Message(rtnl.RTM_DELLINK, 0, codec.encode(ifinfmsg, {}, [("IFLA_IFNAME", name)]), (errno.ENODEV,))


@functools.lru_cache(_QUESTIONS)
def get_link(name: str) -> Message:
    wanted = [("IFLA_EXT_MASK", _SKIP_STATISTICS), ("IFLA_IFNAME", name)]
    return Message(rtnl.RTM_GETLINK, 0, codec.encode(ifinfmsg, {}, wanted), (errno.ENODEV,))


@functools.cache
def all_links() -> Message:
    return Message(rtnl.RTM_GETLINK, 0, codec.encode(ifinfmsg, {}, [("IFLA_EXT_MASK", _SKIP_STATISTICS)]))


def link(reply: Reply | None) -> Link | None:
    """Reads what ``get_link`` and ``all_links`` bring."""
    if reply is None:
        return None
    _, _, index, flags, _ = _LINK.unpack_from(reply.body)
    found = codec.attributes(reply.body, _LINK.size)
    info = codec.attributes(found[_LINKINFO]) if _LINKINFO in found else {}
    port = codec.attributes(info[_PORT]) if _PORT in info else {}
    return Link(
        ifindex=index,
        name=string(found.get(_IFNAME)),
        kind=string(info.get(_KIND)),
        alias=string(found.get(_IFALIAS)),
        up=bool(flags & IFF_UP),
        mtu=integer(found.get(_MTU)),
        mac=found[_MAC].hex(":") if _MAC in found else "",
        master=integer(found.get(_MASTER)),
        peer=integer(found.get(_PEER)),
        hairpin=bool(integer(port.get(_HAIRPIN))),
        running=bool(flags & IFF_RUNNING),
    )


def add_address(index: int, address: str, prefix: int) -> Message:
    host_bits = (1 << (32 - prefix)) - 1
    broadcast = (int.from_bytes(socket.inet_aton(address), "big") | host_bits).to_bytes(4, "big")
    fields = {"family": socket.AF_INET, "prefixlen": prefix, "scope": rtnl.rt_scope["universe"], "index": index}
    same = [("IFA_LOCAL", address), ("IFA_ADDRESS", address), ("IFA_BROADCAST", socket.inet_ntoa(broadcast))]
    return Message(rtnl.RTM_NEWADDR, CREATE | EXCLUSIVE, codec.encode(ifaddrmsg, fields, same), (errno.EEXIST,))


def delete_address(found: Address) -> Message:
    """With a primary address go the secondary ones of its subnet."""
    fields = {"family": socket.AF_INET, "prefixlen": found.prefix, "index": found.ifindex}
    body = codec.encode(ifaddrmsg, fields, [("IFA_LOCAL", found.address)])
    return Message(rtnl.RTM_DELADDR, 0, body, (errno.EADDRNOTAVAIL,))


@functools.lru_cache(_QUESTIONS)
def all_addresses(index: int = 0) -> Message:
    """IPv4 addresses, of one link or of all."""
    return Message(rtnl.RTM_GETADDR, 0, codec.encode(ifaddrmsg, {"family": socket.AF_INET, "index": index}))


def address(reply: Reply) -> Address:
    _, prefix, _, _, index = _ADDRESS.unpack_from(reply.body)
    found = codec.attributes(reply.body, _ADDRESS.size)
    return Address(index, socket.inet_ntoa(found.get(_LOCAL, found.get(_ANY, b"\0\0\0\0"))), prefix)


def _new_route(prefix: int, protocol: str, scope: str, attributes: codec.Attributes) -> Message:
    fields = {
        "family": socket.AF_INET,
        "dst_len": prefix,
        "table": _TABLE_MAIN,
        "proto": rtnl.rt_proto[protocol],
        "scope": rtnl.rt_scope[scope],
        "type": rtnl.rt_type["unicast"],
    }
    return Message(rtnl.RTM_NEWROUTE, CREATE | REPLACE, codec.encode(rtmsg, fields, attributes))


def add_direct_route(index: int, subnet: str, prefix: int, source: str) -> Message:
    """The route that the kernel makes itself when a link gets an address."""
    return _new_route(prefix, "kernel", "link", [("RTA_DST", subnet), ("RTA_PREFSRC", source), ("RTA_OIF", index)])


def add_default_route(index: int, gateway: str) -> Message:
    return _new_route(0, "boot", "universe", [("RTA_GATEWAY", gateway), ("RTA_OIF", index)])


def introduce(index: int, address: str, mac: str) -> Message:
    """Tells a bridge who has an address, as an answer to ARP would: what waits for one is sent now, and not when the
    kernel asks again a second later. The entry ages like any other."""
    fields = {"family": socket.AF_INET, "ifindex": index, "state": neighbours.NUD_REACHABLE}
    body = codec.encode(ndmsg, fields, [("NDA_DST", address), ("NDA_LLADDR", mac)])
    return Message(rtnl.RTM_NEWNEIGH, CREATE | REPLACE, body)


@functools.cache
def main_routes() -> Message:
    """The IPv4 routes of the main table."""
    return Message(rtnl.RTM_GETROUTE, 0, codec.encode(rtmsg, {"family": socket.AF_INET, "table": _TABLE_MAIN}))


@functools.cache
def all_routes() -> Message:
    """The IPv4 routes of all tables, the local one too."""
    return Message(rtnl.RTM_GETROUTE, 0, codec.encode(rtmsg, {"family": socket.AF_INET}))


@functools.lru_cache(_QUESTIONS)
def matching_route(destination: str) -> Message:
    """The one route that the kernel would use to ``destination``."""
    fields = {"family": socket.AF_INET, "dst_len": 32, "flags": _FIB_MATCH}
    body = codec.encode(rtmsg, fields, [("RTA_DST", destination)])
    return Message(rtnl.RTM_GETROUTE, 0, body, (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ESRCH))


def route(reply: Reply) -> Route:
    _, prefix, *_ = _ROUTE.unpack_from(reply.body)
    found = codec.attributes(reply.body, _ROUTE.size)
    destination = socket.inet_ntoa(found[_DESTINATION]) if _DESTINATION in found else "0.0.0.0"
    gateway = socket.inet_ntoa(found[_GATEWAY]) if _GATEWAY in found else ""
    return Route(destination, prefix, gateway, integer(found.get(_OUT)))
