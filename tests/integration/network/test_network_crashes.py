"""kill -9 before and after every system call that changes something: what is left can be finished, or taken away.

The work runs in a forked child that kills itself at the n-th point; n grows until the child lives to its end.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler.drivers.network import netlink, nft, system
from reconciler.drivers.network.base import EndpointConfig, NetworkConfig
from reconciler.drivers.network.driver import LinuxNetwork, open_driver
from reconciler.testing import network_tools as tools
from reconciler.testing.network_linux import LinuxHarness

#: every way in which the driver changes anything
EFFECTS: tuple[tuple[Any, str], ...] = (
    (netlink.Socket, "change"),
    (nft.Library, "run"),
    (system, "unshare_network"),
    (system, "bind_mount"),
    (system, "unmount"),
    (system, "write_setting"),
    (os, "unlink"),
    (os, "pwrite"),
    (os, "ftruncate"),
)


class Scenario:
    def __init__(self, harness: LinuxHarness) -> None:
        self.harness = harness
        self.network = tools.network(harness.instance, "net", harness.driver.free_subnet(()))
        ports = (tools.publish(8080), tools.publish(8053, protocol="udp"))
        self.web = tools.endpoint(harness.instance, "web", 2, self.network, ports=ports)

    def make(self, driver: LinuxNetwork) -> None:
        driver.ensure_network(self.network)
        driver.ensure_endpoint(self.web)

    def remove(self, driver: LinuxNetwork) -> None:
        driver.remove_endpoint(self.web)
        driver.remove_network(self.network.uid, self.network.bridge)

    def break_and_make(self, driver: LinuxNetwork) -> None:
        """A repair that is killed."""
        driver.drift([self.network], [self.web])
        self.make(driver)

    def dies(self, work: Callable[[LinuxNetwork], None], point: int) -> bool:
        """Runs ``work`` in a child that dies at the point; False when it ended before it came there."""
        child = os.fork()
        if child == 0:
            status = 1
            try:
                where = self.harness.directory
                driver = open_driver(self.harness.instance, where / self.harness.instance, where / "host.json")
                _arm(point)
                work(driver)
                status = 0
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the work failed by itself"
        return os.WIFSIGNALED(status)


def _arm(point: int) -> None:
    """Even points are before a call, odd ones after it."""
    reached = 0

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            nonlocal reached
            here, reached = reached, reached + 2
            if here == point:
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                return original(*args, **kwargs)
            finally:
                if here + 1 == point:
                    os.kill(os.getpid(), signal.SIGKILL)

        return wrapped

    for owner, name in EFFECTS:
        setattr(owner, name, wrap(getattr(owner, name)))


@pytest.fixture
def scenario(harness: LinuxHarness) -> Scenario:
    return Scenario(harness)


def test_killed_while_making_then_finished(scenario: Scenario) -> None:
    before = tools.host_state()
    point = 0
    while scenario.dies(scenario.make, point):
        driver = scenario.harness.reopen()
        scenario.make(driver)
        assert driver.drift([scenario.network], [scenario.web]) == ({}, {}), point
        scenario.remove(driver)
        assert tools.host_state() == before, point
        assert driver.list() == ((), ()), point
        point += 1
    assert point > 20


def test_killed_while_making_then_removed(scenario: Scenario) -> None:
    """What a garbage collector does that knows only what ``list`` says."""
    before = tools.host_state()
    point = 0
    while scenario.dies(scenario.make, point):
        driver = scenario.harness.reopen()
        networks, endpoints = driver.list()
        for uid in endpoints:
            driver.remove_endpoint(EndpointConfig(uid, ()))
        for uid in networks or (scenario.network.uid,):
            driver.remove_network(uid, scenario.network.bridge)
        assert tools.host_state() == before, point
        assert driver.list() == ((), ()), point
        point += 1
    assert point > 20


def test_killed_while_removing(scenario: Scenario) -> None:
    before = tools.host_state()
    point = 0
    scenario.make(scenario.harness.driver)
    while scenario.dies(scenario.remove, point):
        driver = scenario.harness.reopen()
        scenario.remove(driver)
        assert tools.host_state() == before, point
        assert driver.list() == ((), ()), point
        assert not list(Path(driver.netns_path("web")).parent.iterdir()), point
        scenario.make(driver)
        point += 1
    assert point > 10


@pytest.mark.parametrize("damage", ["veth", "bridge", "rules"])
def test_killed_while_repairing(scenario: Scenario, damage: str) -> None:
    driver = scenario.harness.driver
    scenario.make(driver)
    point = 0

    def break_it(network: NetworkConfig, web: EndpointConfig) -> None:
        commands = {
            "veth": ["ip", "link", "del", web.interfaces[0].host_name],
            "bridge": ["ip", "link", "del", network.bridge],
            "rules": ["nft", "flush", "ruleset"],
        }
        tools.run(*commands[damage])

    break_it(scenario.network, scenario.web)
    while scenario.dies(scenario.break_and_make, point):
        driver = scenario.harness.reopen()
        scenario.make(driver)
        assert driver.drift([scenario.network], [scenario.web]) == ({}, {}), point
        break_it(scenario.network, scenario.web)
        point += 1
    assert point > 5
