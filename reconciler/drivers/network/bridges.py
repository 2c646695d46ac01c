"""Networks: a bridge, its address, its switches and its share of the firewall.

A bridge's MAC is made of the gateway's address: when it is made anew, the containers' ARP caches are still right.

IPv6 is off on the bridge itself (and so for what containers may send to the host by hand); pydock has no v6
networks yet.
"""

from __future__ import annotations

import contextlib
import ipaddress
import threading
from collections.abc import Iterable

from reconciler import errors, failpoints
from reconciler.drivers.network import host as hosts
from reconciler.drivers.network import links, netlink, owners, ruleset, subnets, system
from reconciler.drivers.network.base import NetworkConfig, NetworkFacet
from reconciler.drivers.network.firewall import Firewall
from reconciler.drivers.network.links import Address, Link, Route
from reconciler.drivers.network.pool import Pool
from reconciler.model import names


class Bridges:
    """The networks of one instance. One change at a time: there are few, and the last one's end concerns them all."""

    def __init__(self, instance: str, pool: Pool, firewall: Firewall, host: hosts.Host) -> None:
        self._instance = instance
        self._pool = pool
        self._firewall = firewall
        self._host = host
        self._lock = threading.Lock()

    def free_subnet(self, taken: Iterable[str], large: bool) -> str:
        with self._pool.socket() as socket:
            used = _used(socket)
        return subnets.free(self._instance, [*used, *map(ipaddress.IPv4Network, taken)], large)

    def ensure(self, config: NetworkConfig) -> None:
        """Firewall before address and route_localnet: no packet passes unguarded."""
        alias = owners.network_alias(self._instance, config.uid)
        with self._lock, self._pool.socket() as socket:
            link = _link(socket, config.bridge)
            owners.refuse_foreign(link, "bridge", alias)
            if link is None:
                self._create(socket, config, alias)
            elif not hosts.forwarding():
                with self._host.turn() as turn:
                    turn.switch_on()
            self._firewall.put(config.uid, ruleset.NETWORK_SETS, ruleset.network_elements(config))
            failpoints.hit("network.bridge.rules.after")
            for path, value in _settings(config.bridge):
                system.write_setting(path, value)
                failpoints.hit("network.bridge.setting.after")
            _mend(socket, config, alias)
            if link is None:
                self._attach(socket, config)

    def _create(self, socket: netlink.Socket, config: NetworkConfig, alias: str) -> None:
        """In our turn, so that two instances cannot find the same subnet free."""
        with self._host.turn() as turn:
            clash = subnets.overlap(config.subnet, _addresses_in_use(socket))
            if clash is not None:
                raise errors.Conflict(f"subnet {config.subnet} overlaps {clash}, which this host uses already")
            turn.forget_if_first(len(owners.bridges(socket)))
            new = links.add_bridge(config.bridge, names.mac(config.gateway))
            failpoints.hit("network.bridge.add.before")
            socket.change([new, links.set_link(config.bridge, alias=alias, mtu=config.mtu)])
            failpoints.hit("network.bridge.add.after")
            turn.switch_on()

    def _attach(self, socket: netlink.Socket, config: NetworkConfig) -> None:
        """Puts veths that outlived a deleted bridge into the new one; their connections live on."""
        bridge = _link(socket, config.bridge)
        suffix = f"/{config.uid}"
        survivors = owners.find(
            socket,
            suffix,
            lambda link: owners.owner(self._instance, "endpoint", link) != "" and link.alias.endswith(suffix),
        )
        for survivor in survivors if bridge else ():
            with contextlib.suppress(OSError):  # one that is being removed meanwhile
                socket.change(links.attach(survivor.name, bridge.ifindex if bridge else 0))

    def remove(self, uid: str, bridge: str) -> None:
        with self._lock, self._pool.socket() as socket:
            alias = owners.network_alias(self._instance, uid)
            link = _link(socket, bridge)
            if link is not None and owners.ours(link, "bridge", alias):
                socket.change([links.delete_link(bridge)])
                failpoints.hit("network.bridge.delete.after")
            for other in owners.find(socket, alias, lambda link: link.alias == alias):
                socket.change([links.delete_link(other.name)])
            self._firewall.withdraw(uid, ruleset.NETWORK_SETS)
            failpoints.hit("network.bridge.withdraw.after")
            self._leave(socket)

    def _leave(self, socket: netlink.Socket) -> None:
        """After the last network: the table goes, and forwarding becomes what it was."""
        left = owners.bridges(socket)
        own = any(owners.owner(self._instance, "network", link) for link in left)
        if not own and not any(element.set == "bridges" for element in self._firewall.elements()):
            self._firewall.drop()
            failpoints.hit("network.table.drop.after")
        with self._host.turn() as turn:
            turn.switch_back(len(owners.bridges(socket)))
            failpoints.hit("network.forwarding.back.after")

    def uids(self) -> set[str]:
        """Of which networks there is a link or an element."""
        with self._pool.socket() as socket:
            linked = {owners.owner(self._instance, "network", link) for link in owners.bridges(socket)}
        ruled = {element.owner for element in self._firewall.elements() if element.set in ruleset.NETWORK_SETS}
        return (linked | ruled) - {""}

    def drift(self, configs: list[NetworkConfig]) -> dict[str, tuple[NetworkFacet, ...]]:
        """What of each network is missing or altered; sound ones are left out."""
        if not configs:
            return {}
        with self._pool.socket() as socket:
            found = socket.get([links.get_link(config.bridge) for config in configs])
            routes = socket.get([links.matching_route(_other_host(config)) for config in configs])
            addresses = [links.address(reply) for reply in socket.dump(links.all_addresses())]
        rules = self._rules(configs)
        drift: dict[str, tuple[NetworkFacet, ...]] = {}
        for config, link, route in zip(configs, map(links.link, found), routes, strict=True):
            alias = owners.network_alias(self._instance, config.uid)
            facets: list[NetworkFacet] = []
            if not _sound(config, link, alias):
                facets.append("bridge")
            if not _addressed(config, link, addresses, links.route(route) if route else None):
                facets.append("address")
            if not rules[config.uid]:
                facets.append("rules")
            if not _switched(config):
                facets.append("forwarding")
            if facets:
                drift[config.uid] = tuple(facets)
        return drift

    def _rules(self, configs: list[NetworkConfig]) -> dict[str, bool]:
        sound = self._firewall.sound()
        found: dict[str, set[ruleset.Element]] = {}
        for element in self._firewall.elements():
            if element.set in ruleset.NETWORK_SETS:
                found.setdefault(element.owner, set()).add(element)
        return {
            config.uid: sound and found.get(config.uid, set()) == set(ruleset.network_elements(config))
            for config in configs
        }


def _link(socket: netlink.Socket, name: str) -> Link | None:
    return links.link(socket.get([links.get_link(name)])[0])


def _settings(bridge: str) -> tuple[tuple[str, str], ...]:
    return (
        (f"net/ipv6/conf/{bridge}/disable_ipv6", "1"),
        (f"net/ipv4/conf/{bridge}/route_localnet", "1"),
    )


def _switched(config: NetworkConfig) -> bool:
    """A setting that cannot be read is its link's or kernel's fault, not forwarding's."""
    return hosts.forwarding() and all(
        system.read_setting(path) in (None, value) for path, value in _settings(config.bridge)
    )


def _sound(config: NetworkConfig, link: Link | None, alias: str) -> bool:
    return (
        link is not None
        and link.kind == "bridge"
        and link.up
        and link.alias == alias
        and link.mtu == config.mtu
        and link.mac == names.mac(config.gateway)
    )


def _addressed(config: NetworkConfig, link: Link | None, addresses: list[Address], route: Route | None) -> bool:
    subnet = ipaddress.IPv4Network(config.subnet)
    wanted = link is not None and Address(link.ifindex, config.gateway, subnet.prefixlen) in addresses
    return wanted and link is not None and route is not None and route.ifindex == link.ifindex


def _other_host(config: NetworkConfig) -> str:
    """Some address of the network that is not the gateway's: the route to it tells if the network's route is there."""
    subnet = ipaddress.IPv4Network(config.subnet)
    first = subnet.network_address + 1
    return str(first if str(first) != config.gateway else first + 1)


def _mend(socket: netlink.Socket, config: NetworkConfig, alias: str) -> None:
    """Sets what differs of an existing bridge, then its address and its route."""
    link = _link(socket, config.bridge)
    if link is None:
        raise errors.Temporary(f"bridge {config.bridge} went away while it was set up")
    if not _sound(config, link, alias):
        mac = names.mac(config.gateway)
        socket.change([links.set_link(config.bridge, alias=alias, mac=mac, mtu=config.mtu, up=True)])
        failpoints.hit("network.bridge.link.after")
    subnet = ipaddress.IPv4Network(config.subnet)
    wanted = Address(link.ifindex, config.gateway, subnet.prefixlen)
    found = [links.address(reply) for reply in socket.dump(links.all_addresses(link.ifindex))]
    present = [address for address in found if address.ifindex == link.ifindex]
    if wanted not in present:
        # the subnet or gateway has changed: what the bridge had until now goes, and first, so that a crash leaves none
        socket.change([*map(links.delete_address, present), links.add_address(*wanted)])
    failpoints.hit("network.bridge.address.after")
    (reply,) = socket.get([links.matching_route(_other_host(config))])
    if reply is None or links.route(reply).ifindex != link.ifindex:
        route = links.add_direct_route(link.ifindex, str(subnet.network_address), subnet.prefixlen, config.gateway)
        socket.change([route])


def _used(socket: netlink.Socket) -> list[ipaddress.IPv4Network]:
    """Every network that an address or route of the host stands for but the default one."""
    routes = [links.route(reply) for reply in socket.dump(links.all_routes())]
    reached = [ipaddress.IPv4Network((route.destination, route.prefix)) for route in routes if route.prefix]
    return [*reached, *_addresses_in_use(socket)]


def _addresses_in_use(socket: netlink.Socket) -> list[ipaddress.IPv4Network]:
    """The networks of the host's addresses. (A route alone may be wider than what is meant to be cut out of it.)"""
    found = [links.address(reply) for reply in socket.dump(links.all_addresses())]
    return [ipaddress.IPv4Network((address.address, address.prefix), strict=False) for address in found]
