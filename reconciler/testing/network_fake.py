"""A network driver without a kernel: the same promises, kept in memory.

A ``FakeHost`` stands for the kernel of one host, so that several ``FakeNetwork``s (instances, or the same instance
after a restart of its daemon) see one another. Tests damage the host by hand and see it repaired.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import threading
from collections.abc import Iterable

from reconciler import errors
from reconciler.drivers.network import owners, subnets
from reconciler.drivers.network.base import (
    EndpointConfig,
    Facet,
    NetworkConfig,
    NetworkFacet,
    PublishedPort,
    ResolvConf,
)
from reconciler.model import names

_NETWORK_FACETS: tuple[NetworkFacet, ...] = ("bridge", "address", "rules", "forwarding")
_ENDPOINT_FACETS: tuple[Facet, ...] = ("veth", "address", "route", "ports")


class FakeHost:
    """What the kernel would hold, by instance and uid; ``listeners`` are ports that host processes have taken."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.networks: dict[tuple[str, str], NetworkConfig] = {}
        self.endpoints: dict[tuple[str, str], EndpointConfig] = {}
        self.network_damage: dict[tuple[str, str], set[NetworkFacet]] = {}
        self.endpoint_damage: dict[tuple[str, str], set[Facet]] = {}
        self.listeners: list[PublishedPort] = []
        self._watchers: list[int] = []

    def damage_network(self, instance: str, uid: str, facet: NetworkFacet) -> None:
        """As if somebody removed it by hand."""
        with self.lock:
            self.network_damage.setdefault((instance, uid), set()).add(facet)
            self.changed()

    def damage_endpoint(self, instance: str, uid: str, facet: Facet) -> None:
        with self.lock:
            self.endpoint_damage.setdefault((instance, uid), set()).add(facet)
            self.changed()

    def flush_ruleset(self) -> None:
        """As ``nft flush ruleset``: every network's rules and every published port."""
        with self.lock:
            for key in self.networks:
                self.network_damage.setdefault(key, set()).add("rules")
            for key, config in self.endpoints.items():
                if config.ports:
                    self.endpoint_damage.setdefault(key, set()).add("ports")
            self.changed()

    def watch(self, fd: int) -> None:
        with self.lock:
            self._watchers.append(fd)

    def unwatch(self, fd: int) -> None:
        with self.lock:
            self._watchers.remove(fd)

    def changed(self) -> None:
        """Wakes everybody who listens."""
        for fd in self._watchers:
            os.eventfd_write(fd, 1)


class FakeNetwork:
    """A ``NetworkDriver`` on a ``FakeHost``."""

    def __init__(self, instance: str = "fake", host: FakeHost | None = None, run_dir: str = "/run/fake") -> None:
        self.resolvers = ResolvConf("nameserver 192.0.2.53\n")
        self.host = host or FakeHost()
        self._instance = names.check_instance(instance)
        self._run_dir = run_dir
        self._events = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._inside: dict[str, int] = {}
        self.host.watch(self._events)

    def probe(self) -> str:
        return "no kernel, fake network"

    def free_subnet(self, taken: Iterable[str], large: bool = False) -> str:
        with self.host.lock:
            used = [config.subnet for config in self.host.networks.values()]
        return subnets.free(self._instance, map(ipaddress.IPv4Network, [*used, *taken]), large)

    def ensure_network(self, config: NetworkConfig) -> None:
        key = (self._instance, owners.check_uid(config.uid))
        with self.host.lock:
            others = [other.subnet for place, other in self.host.networks.items() if place != key]
            clash = subnets.overlap(config.subnet, map(ipaddress.IPv4Network, others))
            if clash is not None and key not in self.host.networks:
                raise errors.Conflict(f"subnet {config.subnet} overlaps {clash}, which this host uses already")
            damage = self.host.network_damage.pop(key, set())
            if damage or self.host.networks.get(key) != config:
                self.host.networks[key] = config
                self.host.changed()

    def remove_network(self, uid: str, bridge: str) -> None:
        key = (self._instance, owners.check_uid(uid))
        with self.host.lock:
            self.host.network_damage.pop(key, None)
            if self.host.networks.pop(key, None):
                self.host.changed()

    def ensure_endpoint(self, config: EndpointConfig) -> str:
        key = (self._instance, owners.check_uid(config.uid))
        with self.host.lock:
            for interface in config.interfaces:
                self._require_bridge(interface.network_uid, interface.bridge)
            self._refuse_taken(key, config)
            self._listen_inside(config.uid)
            damage = self.host.endpoint_damage.pop(key, set())
            if damage or self.host.endpoints.get(key) != config:
                self.host.endpoints[key] = config
                self.host.changed()
        return self.netns_path(config.uid)

    def _require_bridge(self, network_uid: str, bridge: str) -> None:
        key = (self._instance, network_uid)
        if key not in self.host.networks or "bridge" in self.host.network_damage.get(key, ()):
            raise errors.Temporary(f"bridge {bridge} of network {network_uid} is missing", delay=0.2)

    def _refuse_taken(self, key: tuple[str, str], config: EndpointConfig) -> None:
        held = self.host.endpoints.get(key)
        for port in config.ports:
            if held is not None and _at(port) in map(_at, held.ports):
                continue
            holder = self._holder(key, port)
            if holder:
                raise errors.Conflict(f"host port {port.host_ip}:{port.host_port}/{port.protocol} is taken by {holder}")

    def _holder(self, key: tuple[str, str], port: PublishedPort) -> str:
        for (instance, uid), other in self.host.endpoints.items():
            if (instance, uid) != key and any(_clash(port, theirs) for theirs in other.ports):
                ours = instance == self._instance
                return f"container {uid}" if ours else f"a container of the pydock instance {instance}"
        if any(_clash(port, listener) for listener in self.host.listeners):
            return "a process"
        return ""

    def remove_endpoint(self, config: EndpointConfig) -> None:
        key = (self._instance, owners.check_uid(config.uid))
        with self.host.lock:
            self.host.endpoint_damage.pop(key, None)
            if config.uid in self._inside:
                os.close(self._inside.pop(config.uid))
            if self.host.endpoints.pop(key, None):
                self.host.changed()

    def _listen_inside(self, uid: str) -> None:
        if uid not in self._inside:
            self._inside[uid] = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def netns_path(self, uid: str) -> str:
        return f"{self._run_dir}/netns/{owners.check_uid(uid)}"

    def resolv_conf(self) -> ResolvConf:
        return self.resolvers

    def drift(
        self, networks: Iterable[NetworkConfig], endpoints: Iterable[EndpointConfig]
    ) -> tuple[dict[str, tuple[NetworkFacet, ...]], dict[str, tuple[Facet, ...]]]:
        with self.host.lock:
            found = {config.uid: self._network_facets(config) for config in networks}
            inside = {config.uid: self._endpoint_facets(config) for config in endpoints}
        return (
            {uid: facets for uid, facets in found.items() if facets},
            {uid: facets for uid, facets in inside.items() if facets},
        )

    def _network_facets(self, config: NetworkConfig) -> tuple[NetworkFacet, ...]:
        key = (self._instance, config.uid)
        if key not in self.host.networks:
            return _NETWORK_FACETS
        damage = self.host.network_damage.get(key, set())
        return tuple(facet for facet in _NETWORK_FACETS if facet in damage)

    def _endpoint_facets(self, config: EndpointConfig) -> tuple[Facet, ...]:
        key = (self._instance, config.uid)
        made = self.host.endpoints.get(key)
        if made is None:
            return _ENDPOINT_FACETS if config.ports else _ENDPOINT_FACETS[:-1]
        self._listen_inside(config.uid)
        damage = set(self.host.endpoint_damage.get(key, ()))
        if made.interfaces != config.interfaces:
            damage |= {"veth", "address", "route"}
        if set(made.ports) != set(config.ports):
            damage.add("ports")
        return tuple(facet for facet in _ENDPOINT_FACETS if facet in damage)

    def list(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        with self.host.lock:
            networks = sorted(uid for instance, uid in self.host.networks if instance == self._instance)
            endpoints = sorted(uid for instance, uid in self.host.endpoints if instance == self._instance)
        return tuple(networks), tuple(endpoints)

    def event_fds(self) -> tuple[int, ...]:
        with self.host.lock:
            return (self._events, *self._inside.values())

    def drain(self, fd: int) -> None:
        with contextlib.suppress(OSError):
            os.eventfd_read(fd)

    def close(self) -> None:
        self.host.unwatch(self._events)
        for fd in self.event_fds():
            os.close(fd)
        self._inside.clear()


def _at(port: PublishedPort) -> tuple[str, int, str]:
    return port.host_ip, port.host_port, port.protocol


def _clash(one: PublishedPort, other: PublishedPort) -> bool:
    if (one.host_port, one.protocol) != (other.host_port, other.protocol):
        return False
    return "0.0.0.0" in (one.host_ip, other.host_ip) or one.host_ip == other.host_ip
