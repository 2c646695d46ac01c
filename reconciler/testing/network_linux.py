"""The real driver in the test process's own network namespace, and hands that break what it made."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

from reconciler.drivers.network import driver as drivers
from reconciler.drivers.network.base import EndpointConfig, Facet, NetworkConfig, NetworkFacet
from reconciler.testing import network_tools as tools


class LinuxHarness:
    """A harness of ``network_conformance``; the hands are ``ip`` and ``nft``. Below ``directory`` is all that the
    drivers write."""

    def __init__(self, directory: Path) -> None:
        self.instance = tools.new_instance()
        self.directory = directory
        self._opened: list[drivers.LinuxNetwork] = []
        self.driver = self.open(self.instance)

    def open(self, instance: str) -> drivers.LinuxNetwork:
        self._opened.append(drivers.open_driver(instance, self.directory / instance, self.directory / "host.json"))
        return self._opened[-1]

    def other(self) -> tuple[str, drivers.LinuxNetwork]:
        name = tools.new_instance()
        return name, self.open(name)

    def reopen(self) -> drivers.LinuxNetwork:
        self._opened.remove(self.driver)
        self.driver.close()
        self.driver = self.open(self.instance)
        return self.driver

    def damage_network(self, config: NetworkConfig, facet: NetworkFacet) -> None:
        table = f"pydock_{self.instance}"
        commands = {
            "bridge": ["ip", "link", "del", config.bridge],
            "address": ["ip", "addr", "del", f"{config.gateway}/24", "dev", config.bridge],
            "rules": ["nft", "flush", "chain", "ip", table, "forwarding"],
            "forwarding": ["sysctl", "-qw", "net.ipv4.ip_forward=0"],
        }
        tools.run(*commands[facet])

    def damage_endpoint(self, config: EndpointConfig, facet: Facet) -> None:
        first = config.interfaces[0]
        inside = ["nsenter", f"--net={self.driver.netns_path(config.uid)}"]
        if facet == "ports":
            for port in config.ports:
                key = f"{{ {port.protocol} . {port.host_port} }}"
                tools.run("nft", "delete", "element", "ip", f"pydock_{self.instance}", "published", key)
            return
        commands = {
            "veth": ["ip", "link", "del", first.host_name],
            "address": [*inside, "ip", "addr", "del", f"{first.address}/{first.prefix}", "dev", first.name],
            "route": [*inside, "ip", "route", "del", "default"],
        }
        tools.run(*commands[facet])

    @contextlib.contextmanager
    def listen(self, host_ip: str, port: int, protocol: str) -> Iterator[None]:
        kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
        with contextlib.closing(socket.socket(socket.AF_INET, kind)) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host_ip, port))
            if protocol == "tcp":
                listener.listen()
            yield

    def clear(self) -> None:
        """Removes what a test left, then closes."""
        for opened in self._opened:
            with contextlib.suppress(Exception):
                self._clear(opened)
            opened.close()

    def _clear(self, opened: drivers.LinuxNetwork) -> None:
        networks, endpoints = opened.list()
        for uid in endpoints:
            opened.remove_endpoint(EndpointConfig(uid, ()))
        for uid in networks:
            opened.remove_network(uid, "none")
