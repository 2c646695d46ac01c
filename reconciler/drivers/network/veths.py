"""Veth pairs between a bridge and an endpoint's namespace: made, mended, removed."""

from __future__ import annotations

import time

from reconciler import errors, failpoints
from reconciler.drivers.network import inside, links, netlink, owners, system
from reconciler.drivers.network.base import EndpointConfig, Interface
from reconciler.drivers.network.inside import Inside, Outside
from reconciler.drivers.network.links import Link
from reconciler.drivers.network.namespaces import Namespaces, Opened

#: how long links that are up may take to pass packets, and how often they are asked, seconds (measured: 1 ms)
_PATIENCE, _PAUSE = 0.1, 0.0005


class Veths:
    """The veths of one instance."""

    def __init__(self, instance: str, namespaces: Namespaces) -> None:
        self._instance = instance
        self._namespaces = namespaces

    def alias(self, uid: str, interface: Interface) -> str:
        return owners.endpoint_alias(self._instance, uid, interface.network_uid)

    def require_bridges(self, host: netlink.Socket, config: EndpointConfig) -> None:
        """Raises ``Temporary`` unless every network's bridge is there."""
        outside = inside.look_outside(host, [config])
        for interface in config.interfaces:
            if interface.bridge not in outside.links:
                raise _missing(interface)

    def _owner(self, link: Link) -> str:
        return owners.owner(self._instance, "endpoint", link)

    def ensure(self, host: netlink.Socket, opened: Opened, config: EndpointConfig) -> Inside:
        """Makes or mends the veth of every interface; returns what is inside then."""
        outside = inside.look_outside(host, [config])
        seen = inside.look_inside(opened.queries, config)
        made = [self._ensure_one(host, opened, outside, seen, config.uid, item) for item in config.interfaces]
        if any(made):
            seen = inside.look_inside(opened.queries, config)
        missing = [item.name for item in config.interfaces if item.name not in seen.links]
        if missing:
            raise errors.Temporary(f"{', '.join(missing)} of endpoint {config.uid} went away while it was set up")
        return seen

    def _ensure_one(
        self, host: netlink.Socket, opened: Opened, outside: Outside, seen: Inside, uid: str, interface: Interface
    ) -> bool:
        """Whether the veth had to be made. One of ours that led to another network is made anew: its old address
        would stay."""
        bridge, outer = outside.pair(interface)
        inner = seen.links.get(interface.name)
        alias = self.alias(uid, interface)
        if bridge is None:
            raise _missing(interface)
        elsewhere = outer is not None and outer.alias != alias and self._owner(outer) == uid
        if not elsewhere:
            owners.refuse_foreign(outer, "veth", alias)
        if inside.paired(outer, inner) and not elsewhere:
            if not inside.outer_sound(interface, alias, bridge, outer):
                mended = links.set_link(interface.host_name, alias=alias, mtu=interface.mtu)
                host.change([mended, *links.attach(interface.host_name, bridge.ifindex)])
            return False
        if outer is not None:
            host.change([links.delete_link(interface.host_name)])
        if inner is not None:
            opened.queries.change([links.delete_link(interface.name)])
        self._make(host, uid, interface, bridge, alias)
        return True

    def _make(self, host: netlink.Socket, uid: str, interface: Interface, bridge: Link, alias: str) -> None:
        """Up last, when IPv6 is off: the host's end should get no link-local address."""
        name = interface.host_name
        with self._namespaces.descriptor(uid) as fd:
            new = links.add_veth(name, bridge.ifindex, interface.name, interface.mac, interface.mtu, fd)
            host.change([new, links.set_link(name, alias=alias), links.set_hairpin(name)])
        failpoints.hit("network.veth.add.after")
        system.write_setting(f"net/ipv6/conf/{name}/disable_ipv6", "1")
        failpoints.hit("network.veth.setting.after")
        host.change([links.set_link(name, up=True)])
        failpoints.hit("network.veth.up.after")

    def introduce(self, host: netlink.Socket, opened: Opened, config: EndpointConfig) -> None:
        """Waits until packets get through, and tells the bridges who has the addresses: nobody has to ask by ARP."""
        names = [item.name for item in config.interfaces]
        deadline = time.monotonic() + _PATIENCE
        while True:
            outside = inside.look_outside(host, [config])
            both = (*outside.links.values(), *inside.named_links(opened.queries, names).values())
            if all(link.running for link in both) or time.monotonic() > deadline:
                break
            time.sleep(_PAUSE)
        bridges = [(outside.links.get(item.bridge), item) for item in config.interfaces]
        host.attempt([links.introduce(bridge.ifindex, item.address, item.mac) for bridge, item in bridges if bridge])

    def names(self, host: netlink.Socket, uid: str) -> frozenset[str]:
        """The host's links that bear the endpoint's alias."""
        found = owners.find(host, uid, lambda link: self._owner(link) == uid)
        return frozenset(link.name for link in found)

    def delete(self, host: netlink.Socket, names: frozenset[str]) -> None:
        host.change([links.delete_link(name) for name in sorted(names)])

    def remove(self, host: netlink.Socket, config: EndpointConfig) -> None:
        """Deletes those that bear the endpoint's alias, and those of its names (a hand may have changed the alias)."""
        outside = inside.look_outside(host, [config])
        named = {
            item.host_name
            for item in config.interfaces
            if (outer := outside.links.get(item.host_name)) and owners.ours(outer, "veth", self.alias(config.uid, item))
        }
        self.delete(host, self.names(host, config.uid) | named)

    def uids(self, host: netlink.Socket) -> set[str]:
        """Of which endpoints there is a link."""
        found = owners.find(host, ":endpoint:", lambda link: True)
        return {self._owner(link) for link in found}


def _missing(interface: Interface) -> errors.Temporary:
    words = f"bridge {interface.bridge} of network {interface.network_uid} is missing"
    return errors.Temporary(words, delay=0.2)
