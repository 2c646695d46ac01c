"""Links, addresses and routes: what the driver asks of rtnetlink, and what it reads back.

Numbers are those of ``include/uapi/linux/{rtnetlink,if_link,if_addr}.h``.
"""

from __future__ import annotations

import errno
import socket
import struct
from typing import NamedTuple

from reconciler.drivers.network import netlink
from reconciler.drivers.network.netlink import Message, Reply, attribute, integer, nested, string, text, u8, u32

_NEWLINK, _DELLINK, _GETLINK = 16, 17, 18
_NEWADDR, _DELADDR, _GETADDR = 20, 21, 22
_NEWROUTE, _GETROUTE = 24, 26
_NEWNEIGH = 28

_IFINFO = struct.Struct("=BxHiII")
_IFADDR = struct.Struct("=BBBBI")
_RTMSG = struct.Struct("=BBBBBBBBI")
_NDMSG = struct.Struct("=BxxxiHBB")

_ADDRESS, _IFNAME, _MTU, _LINK, _MASTER, _LINKINFO, _IFALIAS, _NETNS_FD, _EXT_MASK = 1, 3, 4, 5, 10, 18, 20, 28, 29
_INFO_KIND, _INFO_DATA, _INFO_SLAVE_KIND, _INFO_SLAVE_DATA = 1, 2, 4, 5
_VETH_PEER = 1
_BRIDGE_FORWARD_DELAY, _BRIDGE_STP = 1, 5
_PORT_HAIRPIN = 4
_SKIP_STATISTICS = 8
_UP = 1

_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST = 1, 2, 4
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PREFSRC, _RTA_TABLE = 1, 4, 5, 7, 15
_TABLE_MAIN = 254
_SCOPE_UNIVERSE, _SCOPE_LINK = 0, 253
_NDA_DST, _NDA_LLADDR = 1, 2
_NUD_REACHABLE = 2
_PROTO_KERNEL, _PROTO_BOOT = 2, 3
_UNICAST = 1
_CLONED, _FIB_MATCH = 0x200, 0x2000

#: multicast groups of NETLINK_ROUTE that tell of links, IPv4 addresses and IPv4 routes
EVENT_GROUPS = (1, 5, 7)


class Link(NamedTuple):
    """A link: ``peer`` is the index of a veth's other end, ``master`` 0 when it is in no bridge."""

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


def _link_message(index: int = 0, up: bool | None = None) -> bytes:
    flags, change = (0, 0) if up is None else (_UP if up else 0, _UP)
    return _IFINFO.pack(0, 0, index, flags, change)


def _mac_bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def add_bridge(name: str, mac: str) -> Message:
    """A bridge, down. Without spanning tree and forward delay a new port passes packets at once. Its MTU is to be set
    afterwards: one given here the kernel would change whenever a port comes or goes."""
    settings = nested(_INFO_DATA, u32(_BRIDGE_FORWARD_DELAY, 0), u32(_BRIDGE_STP, 0))
    body = (
        _link_message()
        + text(_IFNAME, name)
        + attribute(_ADDRESS, _mac_bytes(mac))
        + nested(_LINKINFO, text(_INFO_KIND, "bridge"), settings)
    )
    return Message(_NEWLINK, netlink.F_CREATE | netlink.F_EXCL, body, (errno.EEXIST,))


def add_veth(name: str, master: int, peer: str, peer_mac: str, mtu: int, netns_fd: int) -> Message:
    """A veth pair, both ends down, the one in the bridge ``master``, the other born inside the namespace (moving it
    there later would cost more)."""
    other = (
        _link_message()
        + text(_IFNAME, peer)
        + attribute(_ADDRESS, _mac_bytes(peer_mac))
        + u32(_MTU, mtu)
        + u32(_NETNS_FD, netns_fd)
    )
    body = (
        _link_message()
        + text(_IFNAME, name)
        + u32(_MTU, mtu)
        + u32(_MASTER, master)
        + nested(_LINKINFO, text(_INFO_KIND, "veth"), nested(_INFO_DATA, attribute(_VETH_PEER, other)))
    )
    return Message(_NEWLINK, netlink.F_CREATE | netlink.F_EXCL, body)


def set_link(
    name: str, *, alias: str = "", mac: str = "", mtu: int = 0, master: int = 0, up: bool | None = None
) -> Message:
    """Changes what is given of an existing link."""
    body = _link_message(up=up) + text(_IFNAME, name)
    if alias:
        body += attribute(_IFALIAS, alias.encode())
    if mac:
        body += attribute(_ADDRESS, _mac_bytes(mac))
    if mtu:
        body += u32(_MTU, mtu)
    if master:
        body += u32(_MASTER, master)
    return Message(_NEWLINK, 0, body)


def set_hairpin(name: str) -> Message:
    """Lets a bridge send a frame back through the port it came from. With bridge-nf-call-iptables on, a container that
    asks for its own published port needs it. A message of its own: the kernel looks at it before it sets a master."""
    port = nested(_INFO_SLAVE_DATA, u8(_PORT_HAIRPIN, 1))
    return Message(
        _NEWLINK, 0, _link_message() + text(_IFNAME, name) + nested(_LINKINFO, text(_INFO_SLAVE_KIND, "bridge"), port)
    )


def attach(name: str, master: int) -> list[Message]:
    """Puts an existing veth into a bridge, as ``add_veth`` and ``set_hairpin`` do with a new one."""
    return [set_link(name, master=master), set_hairpin(name), set_link(name, up=True)]


def delete_link(name: str) -> Message:
    return Message(_DELLINK, 0, _link_message() + text(_IFNAME, name), (errno.ENODEV,))


def get_link(name: str) -> Message:
    body = _link_message() + u32(_EXT_MASK, _SKIP_STATISTICS) + text(_IFNAME, name)
    return Message(_GETLINK, 0, body, (errno.ENODEV,))


def all_links() -> Message:
    return Message(_GETLINK, 0, _link_message() + u32(_EXT_MASK, _SKIP_STATISTICS))


def link(reply: Reply | None) -> Link | None:
    """Reads what ``get_link`` and ``all_links`` bring."""
    if reply is None:
        return None
    _, _, index, flags, _ = _IFINFO.unpack_from(reply.body)
    found = netlink.attributes(reply.body, _IFINFO.size)
    info = netlink.attributes(found[_LINKINFO]) if _LINKINFO in found else {}
    port = netlink.attributes(info[_INFO_SLAVE_DATA]) if _INFO_SLAVE_DATA in info else {}
    return Link(
        ifindex=index,
        name=string(found.get(_IFNAME)),
        kind=string(info.get(_INFO_KIND)),
        alias=string(found.get(_IFALIAS)),
        up=bool(flags & _UP),
        mtu=integer(found.get(_MTU)),
        mac=found[_ADDRESS].hex(":") if _ADDRESS in found else "",
        master=integer(found.get(_MASTER)),
        peer=integer(found.get(_LINK)),
        hairpin=bool(integer(port.get(_PORT_HAIRPIN))),
    )


def add_address(index: int, address: str, prefix: int) -> Message:
    packed = socket.inet_aton(address)
    host_bits = (1 << (32 - prefix)) - 1
    broadcast = (int.from_bytes(packed, "big") | host_bits).to_bytes(4, "big")
    body = (
        _IFADDR.pack(socket.AF_INET, prefix, 0, _SCOPE_UNIVERSE, index)
        + attribute(_IFA_LOCAL, packed)
        + attribute(_IFA_ADDRESS, packed)
        + attribute(_IFA_BROADCAST, broadcast)
    )
    return Message(_NEWADDR, netlink.F_CREATE | netlink.F_EXCL, body, (errno.EEXIST,))


def delete_address(found: Address) -> Message:
    """With a primary address go the secondary ones of its subnet."""
    body = _IFADDR.pack(socket.AF_INET, found.prefix, 0, 0, found.ifindex)
    return Message(_DELADDR, 0, body + attribute(_IFA_LOCAL, socket.inet_aton(found.address)), (errno.EADDRNOTAVAIL,))


def all_addresses(index: int = 0) -> Message:
    """IPv4 addresses, of one link or of all."""
    return Message(_GETADDR, 0, _IFADDR.pack(socket.AF_INET, 0, 0, 0, index))


def address(reply: Reply) -> Address:
    _, prefix, _, _, index = _IFADDR.unpack_from(reply.body)
    found = netlink.attributes(reply.body, _IFADDR.size)
    return Address(index, socket.inet_ntoa(found.get(_IFA_LOCAL, found.get(_IFA_ADDRESS, b"\0\0\0\0"))), prefix)


def add_direct_route(index: int, subnet: str, prefix: int, source: str) -> Message:
    """The route that the kernel makes itself when a link gets an address."""
    body = (
        _RTMSG.pack(socket.AF_INET, prefix, 0, 0, _TABLE_MAIN, _PROTO_KERNEL, _SCOPE_LINK, _UNICAST, 0)
        + attribute(_RTA_DST, socket.inet_aton(subnet))
        + attribute(_RTA_PREFSRC, socket.inet_aton(source))
        + u32(_RTA_OIF, index)
    )
    return Message(_NEWROUTE, netlink.F_CREATE | netlink.F_REPLACE, body)


def add_default_route(index: int, gateway: str) -> Message:
    body = (
        _RTMSG.pack(socket.AF_INET, 0, 0, 0, _TABLE_MAIN, _PROTO_BOOT, _SCOPE_UNIVERSE, _UNICAST, 0)
        + attribute(_RTA_GATEWAY, socket.inet_aton(gateway))
        + u32(_RTA_OIF, index)
    )
    return Message(_NEWROUTE, netlink.F_CREATE | netlink.F_REPLACE, body)


def introduce(index: int, address: str, mac: str) -> Message:
    """Tells a bridge who has an address, as an answer to ARP would: what waits for one is sent now, and not when the
    kernel asks again a second later. The entry ages like any other."""
    body = (
        _NDMSG.pack(socket.AF_INET, index, _NUD_REACHABLE, 0, 0)
        + attribute(_NDA_DST, socket.inet_aton(address))
        + attribute(_NDA_LLADDR, _mac_bytes(mac))
    )
    return Message(_NEWNEIGH, netlink.F_CREATE | netlink.F_REPLACE, body)


def main_routes() -> Message:
    """The IPv4 routes of the main table."""
    return Message(_GETROUTE, 0, _RTMSG.pack(socket.AF_INET, 0, 0, 0, _TABLE_MAIN, 0, 0, 0, 0))


def all_routes() -> Message:
    """The IPv4 routes of all tables, the local one too."""
    return Message(_GETROUTE, 0, _RTMSG.pack(socket.AF_INET, 0, 0, 0, 0, 0, 0, 0, 0))


def matching_route(destination: str) -> Message:
    """The one route that the kernel would use to ``destination``."""
    body = _RTMSG.pack(socket.AF_INET, 32, 0, 0, 0, 0, 0, 0, _FIB_MATCH) + attribute(
        _RTA_DST, socket.inet_aton(destination)
    )
    return Message(_GETROUTE, 0, body, (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ESRCH))


def route(reply: Reply) -> Route:
    _, prefix, *_ = _RTMSG.unpack_from(reply.body)
    found = netlink.attributes(reply.body, _RTMSG.size)
    destination = socket.inet_ntoa(found[_RTA_DST]) if _RTA_DST in found else "0.0.0.0"
    gateway = socket.inet_ntoa(found[_RTA_GATEWAY]) if _RTA_GATEWAY in found else ""
    return Route(destination, prefix, gateway, integer(found.get(_RTA_OIF)))
