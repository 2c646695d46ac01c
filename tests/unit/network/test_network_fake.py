"""The in-memory driver keeps the interface's promises."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from reconciler.drivers.network.base import EndpointConfig, NetworkConfig
from reconciler.kinds.container.observed import Facet
from reconciler.kinds.network.observed import NetworkFacet
from reconciler.testing import network_conformance
from reconciler.testing import network_tools as tools
from reconciler.testing.network_fake import FakeHost, FakeNetwork


class FakeHarness:
    instance = "fake"

    def __init__(self) -> None:
        self.host = FakeHost()
        self._opened: list[FakeNetwork] = []
        self.driver = self._open(self.instance)

    def _open(self, instance: str) -> FakeNetwork:
        self._opened.append(FakeNetwork(instance, self.host))
        return self._opened[-1]

    def other(self) -> tuple[str, FakeNetwork]:
        return "other", self._open("other")

    def reopen(self) -> FakeNetwork:
        self._opened.remove(self.driver)
        self.driver.close()
        self.driver = self._open(self.instance)
        return self.driver

    def damage_network(self, config: NetworkConfig, facet: NetworkFacet) -> None:
        self.host.damage_network(self.instance, config.uid, facet)

    def damage_endpoint(self, config: EndpointConfig, facet: Facet) -> None:
        self.host.damage_endpoint(self.instance, config.uid, facet)

    @contextlib.contextmanager
    def listen(self, host_ip: str, port: int, protocol: str) -> Iterator[None]:
        listener = tools.publish(port, host_ip=host_ip, protocol=protocol)
        self.host.listeners.append(listener)
        yield
        self.host.listeners.remove(listener)

    def close(self) -> None:
        for driver in self._opened:
            driver.close()


class TestFakeNetwork(network_conformance.NetworkConformance):
    @pytest.fixture
    def harness(self) -> Iterator[FakeHarness]:
        made = FakeHarness()
        yield made
        made.close()

    def test_flush_damages_all_rules(self, harness: FakeHarness) -> None:
        network = self._network(harness)
        config = self._endpoint(harness, network, "web", 8080)
        harness.host.flush_ruleset()
        assert harness.driver.drift([network], [config]) == ({"net": ("rules",)}, {"web": ("ports",)})
