"""Endpoints compared with what is wanted."""

from __future__ import annotations

from reconciler.drivers.network import inside, ruleset
from reconciler.drivers.network.base import EndpointConfig, Facet, Interface
from reconciler.drivers.network.firewall import Firewall
from reconciler.drivers.network.kept import Kept, State
from reconciler.drivers.network.namespaces import Namespaces
from reconciler.drivers.network.pool import Pool
from reconciler.drivers.network.ruleset import Element
from reconciler.drivers.network.veths import Veths


class EndpointDrift:
    """Compares endpoints with what is wanted."""

    def __init__(self, pool: Pool, firewall: Firewall, namespaces: Namespaces, kept: Kept, veths: Veths) -> None:
        self._pool = pool
        self._firewall = firewall
        self._namespaces = namespaces
        self._kept = kept
        self._veths = veths

    def find(self, configs: list[EndpointConfig]) -> dict[str, tuple[Facet, ...]]:
        """What of each endpoint is missing or altered; sound ones are left out. One that seems altered is looked at
        again under its lock, lest a change of ours that was under way is taken for somebody's."""
        outside, ports = self._look(configs)
        drift: dict[str, tuple[Facet, ...]] = {}
        for config in configs:
            with self._kept.hold(config.uid) as state:
                facets = self._facets(state, config, outside, ports)
                if facets:
                    facets = self._facets(state, config, *self._look([config]))
            if facets:
                drift[config.uid] = facets
        return drift

    def _look(self, configs: list[EndpointConfig]) -> tuple[inside.Outside, dict[str, set[Element]]]:
        """The host's links of these endpoints, and the published ports by container uid."""
        with self._pool.socket() as host:
            outside = inside.look_outside(host, configs)
        ports: dict[str, set[Element]] = {}
        for element in self._firewall.elements():
            if element.set in ruleset.PORT_SETS:
                ports.setdefault(element.owner, set()).add(element)
        return outside, ports

    def _facets(
        self, state: State, config: EndpointConfig, outside: inside.Outside, ports: dict[str, set[Element]]
    ) -> tuple[Facet, ...]:
        facets: list[Facet] = []
        opened = self._kept.find(config.uid, state)
        if opened is None:
            facets += ["veth", "address", "route"]
        else:
            seen = inside.look_inside(opened.queries, config)
            if not self._namespaces.mounted(config.uid, opened) or not self._joined(config, outside, seen):
                facets.append("veth")
            if not inside.addresses_sound(config, seen):
                facets.append("address")
            if not inside.routes_sound(config, seen):
                facets.append("route")
        if ports.get(config.uid, set()) != set(ruleset.port_elements(config)):
            facets.append("ports")
        return tuple(facets)

    def _joined(self, config: EndpointConfig, outside: inside.Outside, seen: inside.Inside) -> bool:
        """Whether every veth is sound at both ends."""
        loopback = seen.links.get(inside.LOOPBACK)
        return (
            loopback is not None
            and loopback.up
            and all(self._sound(config.uid, item, outside, seen) for item in config.interfaces)
        )

    def _sound(self, uid: str, interface: Interface, outside: inside.Outside, seen: inside.Inside) -> bool:
        bridge, outer = outside.pair(interface)
        inner = seen.links.get(interface.name)
        return (
            inside.outer_sound(interface, self._veths.alias(uid, interface), bridge, outer)
            and inside.inner_sound(interface, inner)
            and inside.paired(outer, inner)
        )
