"""What every network driver promises, as tests: a driver's own test is a subclass with a ``harness`` fixture."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import select
import threading
from typing import Protocol

import msgspec
import pytest

from reconciler import errors
from reconciler.drivers.network import subnets
from reconciler.drivers.network.base import EndpointConfig, Facet, NetworkConfig, NetworkDriver, NetworkFacet
from reconciler.testing import network_tools as tools
from reconciler.testing import wait

NETWORK_FACETS: tuple[NetworkFacet, ...] = ("bridge", "address", "rules", "forwarding")
ENDPOINT_FACETS: tuple[Facet, ...] = ("veth", "address", "route", "ports")


class Harness(Protocol):
    """A driver, and hands that do what somebody on the host could do."""

    @property
    def instance(self) -> str: ...

    @property
    def driver(self) -> NetworkDriver: ...

    def other(self) -> tuple[str, NetworkDriver]:
        """Another instance on the same host, and its name."""

    def reopen(self) -> NetworkDriver:
        """The driver after a restart of the daemon."""

    def damage_network(self, config: NetworkConfig, facet: NetworkFacet) -> None: ...

    def damage_endpoint(self, config: EndpointConfig, facet: Facet) -> None: ...

    def listen(self, host_ip: str, port: int, protocol: str) -> contextlib.AbstractContextManager[object]:
        """A host process that has the port."""


class NetworkConformance:
    """The suite."""

    def _network(self, harness: Harness, uid: str = "net", **fields: bool) -> NetworkConfig:
        config = tools.network(harness.instance, uid, harness.driver.free_subnet(()), **fields)
        harness.driver.ensure_network(config)
        return config

    def _endpoint(self, harness: Harness, network: NetworkConfig, uid: str = "web", *ports: int) -> EndpointConfig:
        published = tuple(tools.publish(port) for port in ports)
        config = tools.endpoint(harness.instance, uid, 2, network, ports=published)
        harness.driver.ensure_endpoint(config)
        return config

    def test_probe_is_one_line(self, harness: Harness) -> None:
        line = harness.driver.probe()
        assert line
        assert "\n" not in line

    def test_networks_come_and_go(self, harness: Harness) -> None:
        config = self._network(harness)
        assert harness.driver.list() == (("net",), ())
        harness.driver.ensure_network(config)
        assert harness.driver.drift([config], []) == ({}, {})
        harness.driver.remove_network(config.uid, config.bridge)
        harness.driver.remove_network(config.uid, config.bridge)
        assert harness.driver.list() == ((), ())

    def test_free_subnet_avoids_what_is_taken_and_what_is_there(self, harness: Harness) -> None:
        config = self._network(harness)
        second = harness.driver.free_subnet(())
        third = harness.driver.free_subnet([second])
        assert len({config.subnet, second, third}) == 3
        assert third.endswith("/24")
        large = harness.driver.free_subnet([third], large=True)
        assert int(large.partition("/")[2]) < 24
        assert subnets.overlap(large, [ipaddress.IPv4Network(each) for each in (config.subnet, third)]) is None

    def test_overlapping_subnet_is_a_conflict(self, harness: Harness) -> None:
        config = self._network(harness)
        name, other = harness.other()
        with pytest.raises(errors.Conflict, match="overlaps"):
            other.ensure_network(tools.network(name, "theirs", config.subnet))
        assert other.list() == ((), ())

    def test_instances_choose_different_subnets(self, harness: Harness) -> None:
        _, other = harness.other()
        assert harness.driver.free_subnet(()) != other.free_subnet(())

    def test_endpoint_needs_its_bridge(self, harness: Harness) -> None:
        missing = tools.network(harness.instance, "net", harness.driver.free_subnet(()))
        config = tools.endpoint(harness.instance, "web", 2, missing)
        with pytest.raises(errors.Temporary, match="missing"):
            harness.driver.ensure_endpoint(config)
        assert harness.driver.list() == ((), ())

    def test_endpoints_come_and_go(self, harness: Harness) -> None:
        network = self._network(harness)
        config = tools.endpoint(harness.instance, "web", 2, network)
        path = harness.driver.ensure_endpoint(config)
        assert path == harness.driver.netns_path("web")
        assert harness.driver.ensure_endpoint(config) == path
        assert harness.driver.drift([network], [config]) == ({}, {})
        assert harness.driver.list() == (("net",), ("web",))
        harness.driver.remove_endpoint(config)
        harness.driver.remove_endpoint(config)
        assert harness.driver.list() == (("net",), ())

    def test_what_was_never_made_is_all_drift(self, harness: Harness) -> None:
        network = tools.network(harness.instance, "net", harness.driver.free_subnet(()))
        config = tools.endpoint(harness.instance, "web", 2, network, ports=(tools.publish(8080),))
        networks, endpoints = harness.driver.drift([network], [config])
        assert set(networks["net"]) >= {"bridge", "address", "rules"}
        assert endpoints["web"] == ENDPOINT_FACETS
        assert harness.driver.list() == ((), ())

    @pytest.mark.parametrize("facet", NETWORK_FACETS)
    def test_damage_to_a_network_is_seen_and_repaired(self, harness: Harness, facet: NetworkFacet) -> None:
        network = self._network(harness)
        config = self._endpoint(harness, network, "web", 8080)
        harness.damage_network(network, facet)
        networks, _ = harness.driver.drift([network], [])
        assert facet in networks["net"]
        harness.driver.ensure_network(network)
        assert harness.driver.drift([network], [config]) == ({}, {})

    @pytest.mark.parametrize("facet", ENDPOINT_FACETS)
    def test_damage_to_an_endpoint_is_seen_and_repaired(self, harness: Harness, facet: Facet) -> None:
        network = self._network(harness)
        config = self._endpoint(harness, network, "web", 8080)
        harness.damage_endpoint(config, facet)
        _, endpoints = harness.driver.drift([network], [config])
        assert facet in endpoints["web"]
        harness.driver.ensure_endpoint(config)
        assert harness.driver.drift([network], [config]) == ({}, {})

    def test_drift_is_only_of_those_given_and_damaged(self, harness: Harness) -> None:
        network = self._network(harness)
        one = self._endpoint(harness, network, "one")
        two = tools.endpoint(harness.instance, "two", 3, network)
        harness.driver.ensure_endpoint(two)
        harness.damage_endpoint(two, "route")
        assert harness.driver.drift([], [one]) == ({}, {})
        assert set(harness.driver.drift([], [one, two])[1]) == {"two"}

    @pytest.mark.parametrize(
        ("first", "second"),
        [("0.0.0.0", "0.0.0.0"), ("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "0.0.0.0"), ("127.0.0.1", "127.0.0.1")],
    )
    def test_one_port_for_two_is_a_conflict(self, harness: Harness, first: str, second: str) -> None:
        network = self._network(harness)
        one = tools.endpoint(harness.instance, "one", 2, network, ports=(tools.publish(8080, host_ip=first),))
        two = tools.endpoint(harness.instance, "two", 3, network, ports=(tools.publish(8080, host_ip=second),))
        harness.driver.ensure_endpoint(one)
        with pytest.raises(errors.Conflict, match=r"8080/tcp is taken by container one"):
            harness.driver.ensure_endpoint(two)
        assert harness.driver.list() == (("net",), ("one",))
        harness.driver.remove_endpoint(one)
        harness.driver.ensure_endpoint(two)

    def test_protocols_and_addresses_apart_do_not_conflict(self, harness: Harness) -> None:
        network = self._network(harness)
        ports = (tools.publish(8080, host_ip="127.0.0.1"), tools.publish(8080, host_ip="127.0.0.2"))
        one = tools.endpoint(harness.instance, "one", 2, network, ports=ports)
        two = tools.endpoint(harness.instance, "two", 3, network, ports=(tools.publish(8080, protocol="udp"),))
        harness.driver.ensure_endpoint(one)
        harness.driver.ensure_endpoint(two)
        assert harness.driver.drift([], [one, two]) == ({}, {})

    def test_a_port_of_another_instance_is_a_conflict(self, harness: Harness) -> None:
        self._endpoint(harness, self._network(harness), "web", 8080)
        name, other = harness.other()
        theirs = tools.network(name, "theirs", other.free_subnet(()))
        other.ensure_network(theirs)
        with pytest.raises(errors.Conflict, match=f"a container of the pydock instance {re.escape(harness.instance)}$"):
            other.ensure_endpoint(tools.endpoint(name, "rival", 2, theirs, ports=(tools.publish(8080),)))

    @pytest.mark.parametrize("protocol", ["tcp", "udp"])
    @pytest.mark.parametrize(
        ("listens", "wanted", "refused"),
        [
            ("0.0.0.0", "0.0.0.0", True),
            ("127.0.0.1", "0.0.0.0", True),
            ("0.0.0.0", "127.0.0.1", True),
            ("127.0.0.1", "127.0.0.2", False),
        ],
    )
    def test_a_port_of_a_host_process_is_a_conflict(
        self, harness: Harness, protocol: str, listens: str, wanted: str, refused: bool
    ) -> None:
        network = self._network(harness)
        ports = (tools.publish(8080, host_ip=wanted, protocol=protocol),)
        config = tools.endpoint(harness.instance, "web", 2, network, ports=ports)
        with harness.listen(listens, 8080, protocol):
            with pytest.raises(errors.Conflict, match="process") if refused else contextlib.nullcontext():
                harness.driver.ensure_endpoint(config)
        harness.driver.ensure_endpoint(config)

    def test_a_port_that_is_ours_already_is_no_conflict(self, harness: Harness) -> None:
        config = self._endpoint(harness, self._network(harness), "web", 8080)
        with harness.listen("0.0.0.0", 8080, "tcp"):
            harness.driver.ensure_endpoint(config)
        assert harness.driver.drift([], [config]) == ({}, {})

    def test_ports_change_in_place(self, harness: Harness) -> None:
        network = self._network(harness)
        config = self._endpoint(harness, network, "web", 8080, 8081)
        changed = tools.with_ports(config, tools.publish(8081), tools.publish(8082, 81))
        assert harness.driver.drift([], [changed])[1] == {"web": ("ports",)}
        harness.driver.ensure_endpoint(changed)
        assert harness.driver.drift([], [changed]) == ({}, {})
        other = tools.endpoint(harness.instance, "other", 3, network, ports=(tools.publish(8080),))
        harness.driver.ensure_endpoint(other)

    def test_removal_with_an_older_config_removes_all(self, harness: Harness) -> None:
        network = self._network(harness)
        second = self._network(harness, "second")
        older = tools.endpoint(harness.instance, "web", 2, network)
        newer = tools.endpoint(harness.instance, "web", 2, network, second, ports=(tools.publish(8080),))
        harness.driver.ensure_endpoint(newer)
        harness.driver.remove_endpoint(older)
        assert harness.driver.list() == (("net", "second"), ())
        harness.driver.ensure_endpoint(tools.endpoint(harness.instance, "next", 3, second, ports=newer.ports))

    def test_an_interface_no_longer_wanted_goes(self, harness: Harness) -> None:
        network, second = self._network(harness), self._network(harness, "second")
        both = tools.endpoint(harness.instance, "web", 2, network, second)
        harness.driver.ensure_endpoint(both)
        one = msgspec.structs.replace(both, interfaces=both.interfaces[:1])
        harness.driver.ensure_endpoint(one)
        assert harness.driver.drift([network, second], [one]) == ({}, {})
        assert "veth" in harness.driver.drift([], [both])[1]["web"]

    def test_an_endpoint_moves_to_another_network(self, harness: Harness) -> None:
        """Its first interface, under the same name, leads elsewhere."""
        first, second = self._network(harness), self._network(harness, "second")
        before = tools.endpoint(harness.instance, "web", 2, first, ports=(tools.publish(8080),))
        after = tools.endpoint(harness.instance, "web", 2, second, ports=before.ports)
        harness.driver.ensure_endpoint(before)
        assert set(harness.driver.drift([], [after])[1]["web"]) >= {"veth", "address", "route"}
        harness.driver.ensure_endpoint(after)
        assert harness.driver.drift([first, second], [after]) == ({}, {})
        harness.driver.remove_network(first.uid, first.bridge)
        assert harness.driver.drift([second], [after]) == ({}, {})

    def test_a_restart_changes_nothing(self, harness: Harness) -> None:
        network = self._network(harness)
        config = self._endpoint(harness, network, "web", 8080)
        driver = harness.reopen()
        assert driver.drift([network], [config]) == ({}, {})
        assert driver.list() == (("net",), ("web",))
        driver.ensure_endpoint(config)
        driver.ensure_network(network)
        assert driver.drift([network], [config]) == ({}, {})

    @pytest.mark.parametrize("facet", ENDPOINT_FACETS)
    def test_damage_wakes_whoever_waits(self, harness: Harness, facet: Facet) -> None:
        config = self._endpoint(harness, self._network(harness), "web", 8080)
        self._quiet(harness.driver)
        harness.damage_endpoint(config, facet)
        assert select.select(harness.driver.event_fds(), [], [], 5.0)[0]

    def test_damage_wakes_after_a_restart(self, harness: Harness) -> None:
        config = self._endpoint(harness, self._network(harness))
        driver = harness.reopen()
        driver.drift([], [config])
        self._quiet(driver)
        harness.damage_endpoint(config, "route")
        assert select.select(driver.event_fds(), [], [], 5.0)[0]

    def _quiet(self, driver: NetworkDriver) -> None:
        def drained() -> bool:
            for fd in driver.event_fds():
                driver.drain(fd)
            return not select.select(driver.event_fds(), [], [], 0.05)[0]

        wait.until(drained, what="events of our own to end")

    def test_endpoints_have_descriptors_of_their_own(self, harness: Harness) -> None:
        before = set(harness.driver.event_fds())
        config = self._endpoint(harness, self._network(harness))
        (fresh,) = set(harness.driver.event_fds()) - before
        harness.driver.remove_endpoint(config)
        assert set(harness.driver.event_fds()) == before
        harness.driver.drain(fresh)

    def test_many_at_once(self, harness: Harness) -> None:
        network = self._network(harness)
        configs = [
            tools.endpoint(harness.instance, f"web{n}", n, network, ports=(tools.publish(8000 + n),))
            for n in range(2, 18)
        ]
        self._together(harness.driver.ensure_endpoint, configs)
        assert harness.driver.drift([network], configs) == ({}, {})
        self._together(harness.driver.remove_endpoint, configs)
        assert harness.driver.list() == (("net",), ())

    def test_of_many_that_want_one_port_one_has_it(self, harness: Harness) -> None:
        network = self._network(harness)
        configs = [
            tools.endpoint(harness.instance, f"web{n}", n, network, ports=(tools.publish(8080),)) for n in range(2, 8)
        ]
        outcomes = self._together(harness.driver.ensure_endpoint, configs)
        refused = [error for error in outcomes if error is not None]
        assert len(refused) == len(configs) - 1
        assert all(isinstance(error, errors.Conflict) for error in refused)
        assert len(harness.driver.list()[1]) == 1

    def _together(self, call: object, configs: list[EndpointConfig]) -> list[BaseException | None]:
        outcomes: list[BaseException | None] = [None] * len(configs)

        def one(number: int) -> None:
            try:
                call(configs[number])  # type: ignore[operator]
            except errors.PydockError as error:
                outcomes[number] = error

        threads = [threading.Thread(target=one, args=(number,)) for number in range(len(configs))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return outcomes

    def test_a_uid_that_could_escape_is_refused(self, harness: Harness) -> None:
        for uid in ("../etc", "a b", 'a"', "", "a/b", "x" * 65):
            with pytest.raises(errors.Invalid):
                harness.driver.netns_path(uid)
            with pytest.raises(errors.Invalid):
                harness.driver.remove_network(uid, "pdbx")
