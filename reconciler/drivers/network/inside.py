"""What an endpoint looks like, on the host and inside its namespace, compared with what it should be."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import NamedTuple

from reconciler.drivers.network import links, netlink
from reconciler.drivers.network.base import EndpointConfig, Interface
from reconciler.drivers.network.links import Address, Link, Route
from reconciler.drivers.network.netlink import Message

LOOPBACK = "lo"


class Outside(NamedTuple):
    """Of the host's namespace the links by name (bridges and veths; missing ones are left out)."""

    links: dict[str, Link]

    def pair(self, interface: Interface) -> tuple[Link | None, Link | None]:
        """The bridge and the host's end of the veth."""
        return self.links.get(interface.bridge), self.links.get(interface.host_name)


class Inside(NamedTuple):
    """Of the endpoint's namespace the links by name, IPv4 addresses and routes of the main table."""

    links: dict[str, Link]
    addresses: list[Address]
    routes: list[Route]


def look_outside(host: netlink.Socket, configs: Iterable[EndpointConfig]) -> Outside:
    """One batch of questions for all endpoints given."""
    names = {name for config in configs for item in config.interfaces for name in (item.bridge, item.host_name)}
    return Outside(named_links(host, sorted(names)))


def look_inside(socket: netlink.Socket, config: EndpointConfig) -> Inside:
    return Inside(
        links=named_links(socket, [LOOPBACK, *(item.name for item in config.interfaces)]),
        addresses=[links.address(reply) for reply in socket.dump(links.all_addresses())],
        routes=[links.route(reply) for reply in socket.dump(links.main_routes())],
    )


def named_links(socket: netlink.Socket, names: list[str]) -> dict[str, Link]:
    found = map(links.link, socket.get([links.get_link(name) for name in names]))
    return {link.name: link for link in found if link is not None}


def paired(outer: Link | None, inner: Link | None) -> bool:
    """Whether the two are the ends of one veth."""
    return (
        outer is not None
        and inner is not None
        and outer.kind == inner.kind == "veth"
        and outer.peer == inner.ifindex
        and inner.peer == outer.ifindex
    )


def outer_sound(interface: Interface, alias: str, bridge: Link | None, outer: Link | None) -> bool:
    """Whether the host's end is up, named as ours, and in its bridge as it should be."""
    return (
        bridge is not None
        and outer is not None
        and outer.up
        and outer.hairpin
        and outer.alias == alias
        and outer.mtu == interface.mtu
        and outer.master == bridge.ifindex
    )


def inner_sound(interface: Interface, inner: Link | None) -> bool:
    return inner is not None and inner.up and inner.mac == interface.mac and inner.mtu == interface.mtu


def wanted_address(interface: Interface, inner: Link) -> Address:
    return Address(inner.ifindex, interface.address, interface.prefix)


def direct_route(interface: Interface, inner: Link) -> Route:
    """The route that comes with the address."""
    subnet = ipaddress.IPv4Network((interface.address, interface.prefix), strict=False)
    return Route(str(subnet.network_address), interface.prefix, "", inner.ifindex)


def way_out(config: EndpointConfig) -> Interface | None:
    """The interface that carries the default route."""
    return next((item for item in config.interfaces if not item.internal), None)


def default_route(interface: Interface, inner: Link) -> Route:
    return Route("0.0.0.0", 0, interface.gateway, inner.ifindex)


def addresses_sound(config: EndpointConfig, seen: Inside) -> bool:
    return all(
        item.name in seen.links and wanted_address(item, seen.links[item.name]) in seen.addresses
        for item in config.interfaces
    )


def routes_sound(config: EndpointConfig, seen: Inside) -> bool:
    out = way_out(config)
    wanted = [
        direct_route(item, seen.links[item.name]) if item.name in seen.links else None for item in config.interfaces
    ]
    if out is not None:
        wanted.append(default_route(out, seen.links[out.name]) if out.name in seen.links else None)
    return all(route is not None and route in seen.routes for route in wanted)


def repairs(config: EndpointConfig, seen: Inside) -> list[Message]:
    """The least that makes the inside sound, in an order that works: links, addresses, direct routes, way out.
    Every interface must be there."""
    messages: list[Message] = []
    loopback = seen.links.get(LOOPBACK)
    if loopback is None or not loopback.up:
        messages.append(links.set_link(LOOPBACK, up=True))
    for item in config.interfaces:
        messages += _interface_repairs(item, seen)
    out = way_out(config)
    if out is not None:
        inner = seen.links[out.name]
        if not inner.up or default_route(out, inner) not in seen.routes:
            messages.append(links.add_default_route(inner.ifindex, out.gateway))
    return messages


def _interface_repairs(interface: Interface, seen: Inside) -> list[Message]:
    inner = seen.links[interface.name]
    messages: list[Message] = []
    if not inner_sound(interface, inner):
        messages.append(links.set_link(interface.name, mac=interface.mac, mtu=interface.mtu, up=True))
    if wanted_address(interface, inner) not in seen.addresses:
        messages.append(links.add_address(inner.ifindex, interface.address, interface.prefix))
    elif not inner.up or direct_route(interface, inner) not in seen.routes:
        route = direct_route(interface, inner)
        messages.append(links.add_direct_route(inner.ifindex, route.destination, route.prefix, interface.address))
    return messages
