"""Endpoints: a namespace, a veth into each network, addresses, routes, published ports."""

from __future__ import annotations

import contextlib

from reconciler import errors, failpoints
from reconciler.drivers.network import conntrack, inside, links, netlink, ruleset, sockets
from reconciler.drivers.network import host as hosts
from reconciler.drivers.network.base import EndpointConfig
from reconciler.drivers.network.firewall import Firewall
from reconciler.drivers.network.kept import Kept, State
from reconciler.drivers.network.namespaces import Namespaces, Opened
from reconciler.drivers.network.pool import Pool
from reconciler.drivers.network.ruleset import Element
from reconciler.drivers.network.veths import Veths
from reconciler.model import names


class Endpoints:
    """The endpoints of one instance: one thing at a time for each, many at once."""

    def __init__(
        self, pool: Pool, firewall: Firewall, host: hosts.Host, namespaces: Namespaces, kept: Kept, veths: Veths
    ) -> None:
        self._pool = pool
        self._firewall = firewall
        self._host = host
        self._namespaces = namespaces
        self._kept = kept
        self._veths = veths

    def ensure(self, config: EndpointConfig) -> str:
        """Bridges and free ports are looked for first: when they cannot be had, nothing else has been done. Ports are
        published last, once packets get through: whoever comes before that is refused and knows it. What he sends into
        a bridge whose first veth is still on its way up would be lost, and sent again a second later."""
        with self._kept.hold(config.uid) as state, self._pool.socket() as host:
            self._veths.require_bridges(host, config)
            self._refuse_taken(config.uid, self._new(config))
            fresh, opened = self._namespace(config.uid, state)
            if not fresh:
                known = self._veths.names(host, config.uid) if state.host_names is None else state.host_names
                self._veths.delete(host, known - {item.host_name for item in config.interfaces})
            seen = self._veths.ensure(host, opened, config)
            opened.queries.change(inside.repairs(config, seen))
            failpoints.hit("network.endpoint.inside.after")
            state.host_names = frozenset(item.host_name for item in config.interfaces)
            self._veths.introduce(host, opened, config)
            try:
                self._publish(host, config)
            except errors.Conflict:
                # another was quicker
                if fresh:
                    self._take_down(host, config, state)
                raise
            failpoints.hit("network.endpoint.publish.after")
        return self._namespaces.path(config.uid)

    def _namespace(self, uid: str, state: State) -> tuple[bool, Opened]:
        """The namespace, and whether it had to be made."""
        opened = self._kept.find(uid, state)
        if opened is None:
            return True, self._kept.make(uid, state)
        if not self._namespaces.mounted(uid, opened):
            self._namespaces.bind_again(uid, opened)
        return False, opened

    def _publish(self, host: netlink.Socket, config: EndpointConfig) -> None:
        """In our turn, so that two instances cannot find the same port free."""
        new = self._new(config)
        with self._host.turn() if new else contextlib.nullcontext():
            self._refuse_taken(config.uid, new)
            change = self._firewall.put(config.uid, ruleset.PORT_SETS, ruleset.port_elements(config))
        _forget_flows(host, (*change.added, *change.removed))

    def _new(self, config: EndpointConfig) -> list[Element]:
        """Of its ports those that the endpoint does not hold yet."""
        held = {(item.set, item.key) for item in self._firewall.elements() if item.owner == config.uid}
        return [item for item in ruleset.port_elements(config) if (item.set, item.key) not in held]

    def _refuse_taken(self, uid: str, new: list[Element]) -> None:
        if not new:
            return
        others = [(f"container {item.owner}", item) for item in self._firewall.elements() if item.owner != uid]
        others += [
            (f"a container of the pydock instance {table.removeprefix(names.nft_table(''))}", item)
            for table, item in self._firewall.foreign_elements()
        ]
        for element in new:
            port = ruleset.published_port(element)
            holder = next((words for words, other in others if ruleset.clash(element, other)), "")
            holder = holder or sockets.conflict(port)
            if holder:
                where = f"{port.host_ip}:{port.host_port}/{port.protocol}"
                raise errors.Conflict(f"host port {where} is taken by {holder}")

    def remove(self, config: EndpointConfig) -> None:
        with self._kept.hold(config.uid) as state:
            change = self._firewall.withdraw(config.uid, ruleset.PORT_SETS)
            failpoints.hit("network.endpoint.withdraw.after")
            with self._pool.socket() as host:
                self._take_down(host, config, state)
                _forget_flows(host, change.removed)
        for address in sorted({ruleset.target_address(item) for item in change.removed}):
            conntrack.forget_address(address)

    def _take_down(self, host: netlink.Socket, config: EndpointConfig, state: State) -> None:
        """Removes veths and namespace."""
        self._veths.remove(host, config)
        failpoints.hit("network.endpoint.veths.after")
        self._kept.forget(config.uid, state)
        self._namespaces.remove(config.uid)

    def uids(self) -> set[str]:
        """Of which endpoints there is a namespace file, a link or an element."""
        with self._pool.socket() as host:
            linked = self._veths.uids(host)
        ruled = {element.owner for element in self._firewall.elements() if element.set in ruleset.PORT_SETS}
        return (linked | ruled | set(self._namespaces.list())) - {""}


def _forget_flows(host: netlink.Socket, elements: tuple[Element, ...]) -> None:
    """Lets UDP clients of ports that changed find their new way."""
    ports = [ruleset.published_port(item) for item in elements]
    numbers = sorted({port.host_port for port in ports if port.protocol == "udp"})
    if numbers:
        local = {links.address(reply).address for reply in host.dump(links.all_addresses())}
        conntrack.forget_ports(numbers, local)
