"""Whatever somebody breaks comes back, and open connections through published ports live on."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.drivers.network import system
from reconciler.testing import network_tools as tools
from reconciler.testing.network_linux import LinuxHarness


class Scene:
    """A container that serves, one connection to it from the neighbour and one from the host's loopback."""

    def __init__(self, harness: LinuxHarness, neighbour: tools.Neighbour, stack: contextlib.ExitStack) -> None:
        self.harness = harness
        self.stack = stack
        self.driver = harness.driver
        self.network = tools.network(harness.instance, "net", self.driver.free_subnet(()))
        self.driver.ensure_network(self.network)
        self.web = tools.endpoint(harness.instance, "web", 2, self.network, ports=(tools.publish(8080),))
        self.path = self.driver.ensure_endpoint(self.web)
        self.neighbour = neighbour
        stack.enter_context(tools.serving(self.path, 80, "web"))
        self.wire = stack.enter_context(tools.conversation(neighbour.path, neighbour.host, 8080))
        self.local = stack.enter_context(tools.conversation(None, "127.0.0.1", 8080))
        self.talk()

    @property
    def table(self) -> str:
        return f"pydock_{self.harness.instance}"

    @property
    def host_name(self) -> str:
        return self.web.interfaces[0].host_name

    def talk(self) -> None:
        assert self.wire.say("still there").endswith("still there")
        assert self.local.say("still there").endswith("still there")

    def inside(self, *command: str) -> str:
        return tools.run("nsenter", f"--net={self.path}", *command)

    def drift(self) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
        networks, endpoints = self.driver.drift([self.network], [self.web])
        return dict(networks), dict(endpoints)

    def repair(self) -> None:
        networks, endpoints = self.drift()
        assert networks or endpoints, "the damage was not seen"
        if networks:
            self.driver.ensure_network(self.network)
        if self.drift()[1]:
            self.driver.ensure_endpoint(self.web)
        assert self.drift() == ({}, {})


@pytest.fixture
def scene(harness: LinuxHarness, tmp_path: Path) -> Iterator[Scene]:
    with tools.neighbour(tmp_path) as neighbour, contextlib.ExitStack() as stack:
        yield Scene(harness, neighbour, stack)


def nft(text: str) -> Callable[[Scene], None]:
    return lambda scene: void(tools.run("nft", text.replace("TABLE", f"ip {scene.table}")))


def ip(text: str) -> Callable[[Scene], None]:
    return lambda scene: void(tools.run("ip", *_words(scene, text)))


def inside(text: str) -> Callable[[Scene], None]:
    return lambda scene: void(scene.inside("ip", *_words(scene, text)))


def void(_: object) -> None:
    """Commands that damage say nothing."""


def _words(scene: Scene, text: str) -> list[str]:
    values = {"VETH": scene.host_name, "BRIDGE": scene.network.bridge, "SUBNET": scene.network.subnet}
    values |= {"GATEWAY": scene.network.gateway, "ADDRESS": scene.web.interfaces[0].address}
    for name, value in values.items():
        text = text.replace(name, value)
    return text.split()


def delete_first_rule(chain: str) -> Callable[[Scene], None]:
    def damage(scene: Scene) -> None:
        listing = tools.run("nft", "-a", "list", "chain", "ip", scene.table, chain)
        handle = next(line.split("# handle ")[1] for line in listing.splitlines()[2:] if "# handle" in line)
        tools.run("nft", "delete", "rule", "ip", scene.table, chain, "handle", handle)

    return damage


def other_bridge(scene: Scene) -> None:
    tools.run("ip", "link", "add", "other", "type", "bridge")
    tools.run("ip", "link", "set", scene.host_name, "master", "other")
    scene.stack.callback(tools.run, "ip", "link", "del", "other")


def unmount_namespace(scene: Scene) -> None:
    system.unmount(scene.path)


def overmount_namespace(scene: Scene) -> None:
    system.bind_mount("/proc/thread-self/ns/net", scene.path)


def switch_off(path: str) -> Callable[[Scene], None]:
    def damage(scene: Scene) -> None:
        Path("/proc/sys/net", path.replace("BRIDGE", scene.network.bridge)).write_text("0")

    return damage


def nothing_left(scene: Scene) -> None:
    """Everything at once that is left without its process."""
    tools.run("ip", "link", "del", scene.host_name)
    tools.run("ip", "link", "del", scene.network.bridge)
    tools.run("nft", "flush", "ruleset")


DAMAGES: dict[str, Callable[[Scene], object]] = {
    "veth deleted": ip("link del VETH"),
    "veth deleted from inside": inside("link del eth0"),
    "veth down": ip("link set VETH down"),
    "veth out of its bridge": ip("link set VETH nomaster"),
    "veth in another bridge": other_bridge,
    "veth alias overwritten": ip("link set VETH alias whatever"),
    "veth hairpin off": ip("link set VETH type bridge_slave hairpin off"),
    "veth mtu": ip("link set VETH mtu 1400"),
    "eth0 down": inside("link set eth0 down"),
    "eth0 mac": inside("link set eth0 address 02:00:00:00:00:77"),
    "eth0 mtu": inside("link set eth0 mtu 1400"),
    "eth0 renamed": lambda scene: (
        inside("link set eth0 down")(scene),
        inside("link set eth0 name other0")(scene),
    ),
    "address removed": inside("addr del ADDRESS/24 dev eth0"),
    "address with another prefix": lambda scene: (
        inside("addr del ADDRESS/24 dev eth0")(scene),
        inside("addr add ADDRESS/32 dev eth0")(scene),
    ),
    "default route removed": inside("route del default"),
    "direct route removed": inside("route del SUBNET"),
    "all routes flushed": inside("route flush table main"),
    "lo down": inside("link set lo down"),
    "bridge deleted": ip("link del BRIDGE"),
    "bridge down": ip("link set BRIDGE down"),
    "bridge alias overwritten": ip("link set BRIDGE alias whatever"),
    "bridge mac": ip("link set BRIDGE address 02:00:00:00:00:78"),
    "bridge mtu": ip("link set BRIDGE mtu 1400"),
    "bridge address removed": ip("addr del GATEWAY/24 dev BRIDGE"),
    "bridge route removed": ip("route del SUBNET"),
    "ruleset flushed": nft("flush ruleset"),
    "table flushed": nft("flush table TABLE"),
    "table deleted": nft("delete table TABLE"),
    "chain deleted": nft("delete chain TABLE forwarding"),
    "rule inserted": nft("insert rule TABLE forwarding drop"),
    "rule from guard deleted": delete_first_rule("guard"),
    "rule from publish deleted": delete_first_rule("publish"),
    "rule from prerouting deleted": delete_first_rule("prerouting"),
    "rule from local_out deleted": delete_first_rule("local_out"),
    "rule from forwarding deleted": delete_first_rule("forwarding"),
    "rule from postrouting deleted": delete_first_rule("postrouting"),
    "port element deleted": nft("delete element TABLE published { tcp . 8080 }"),
    "port elements flushed": nft("flush map TABLE published"),
    "bridges flushed": nft("flush set TABLE bridges"),
    "subnets flushed": nft("flush set TABLE subnets"),
    "gateways flushed": nft("flush map TABLE gateways"),
    "stray element": nft("add element TABLE published { tcp . 99 : 10.0.0.1 . 99 }"),
    "stray set": nft("add set TABLE extra { type ipv4_addr; elements = { 10.0.0.1 }; }"),
    "policy changed": nft("add chain TABLE forwarding { policy drop; }"),
    "forwarding off": switch_off("ipv4/ip_forward"),
    "route_localnet off": switch_off("ipv4/conf/BRIDGE/route_localnet"),
    "bridge ipv6 on": switch_off("ipv6/conf/BRIDGE/disable_ipv6"),
    "namespace file unmounted": unmount_namespace,
    "another namespace mounted over it": overmount_namespace,
    "bridge, veth and rules gone": nothing_left,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_repair_keeps_connections(scene: Scene, damage: str) -> None:
    before = os.stat(scene.path)
    DAMAGES[damage](scene)
    scene.repair()
    scene.talk()
    assert tools.ask(scene.neighbour.path, scene.neighbour.host, 8080).startswith("web ")
    assert (os.stat(scene.path).st_dev, os.stat(scene.path).st_ino) == (before.st_dev, before.st_ino)


def test_least_force(scene: Scene) -> None:
    """A repair touches only what is broken: the links keep their numbers, the rules their handles."""

    def marks() -> tuple[str, str, str]:
        rules = tools.run("nft", "-a", "list", "table", "ip", scene.table)
        return tools.run("ip", "-o", "link"), scene.inside("ip", "-o", "link"), rules

    before = marks()
    scene.inside("ip", "route", "del", "default")
    tools.run("ip", "link", "set", scene.host_name, "nomaster")
    scene.repair()
    links, within, rules = marks()
    assert [line.split()[:2] for line in links.splitlines()] == [line.split()[:2] for line in before[0].splitlines()]
    assert within == before[1]
    assert rules == before[2]


def test_one_rule_deleted_leaves_the_other_chains_alone(scene: Scene) -> None:
    def chain(name: str) -> str:
        return tools.run("nft", "-a", "list", "chain", "ip", scene.table, name)

    before = chain("publish"), chain("postrouting")
    DAMAGES["rule from forwarding deleted"](scene)
    scene.repair()
    assert (chain("publish"), chain("postrouting")) == before


def test_counters_are_no_drift(scene: Scene) -> None:
    """Somebody who wants to see how often a rule matches may: what the rule does is the same."""
    rules = tools.run("nft", "list", "chain", "ip", scene.table, "forwarding")
    body = rules.replace("accept\n", "counter accept\n").replace("policy counter accept", "policy accept")
    assert body != rules
    tools.run("nft", f"flush chain ip {scene.table} forwarding; {body}")
    scene.talk()
    assert scene.drift() == ({}, {})


def test_the_rest_of_the_firewall_is_never_looked_at(scene: Scene) -> None:
    tools.run("nft", "add table inet theirs; add chain inet theirs c; add rule inet theirs c counter accept")
    before = tools.run("nft", "-a", "list", "table", "inet", "theirs")
    assert scene.drift() == ({}, {})
    tools.run("nft", f"delete table ip {scene.table}")
    scene.repair()
    assert tools.run("nft", "-a", "list", "table", "inet", "theirs") == before
    tools.run("nft", "delete", "table", "inet", "theirs")


def test_isolation_returns_with_the_rules(scene: Scene) -> None:
    scene.neighbour.command("ip", "route", "add", scene.network.subnet, "via", scene.neighbour.host)
    address = scene.web.interfaces[0].address
    assert tools.unreachable(scene.neighbour.path, address, 80)
    tools.run("nft", "flush", "ruleset")
    assert not tools.unreachable(scene.neighbour.path, address, 80)
    scene.repair()
    assert tools.unreachable(scene.neighbour.path, address, 80)


def test_the_hosts_arp_cache_and_the_containers_stay_right(scene: Scene) -> None:
    """A bridge and a veth that were made anew have their old addresses."""
    gateway = scene.inside("ip", "neigh", "show", scene.network.gateway).split("lladdr ")[1].split()[0]
    container = scene.web.interfaces[0].mac
    nothing_left(scene)
    scene.repair()
    assert tools.mac_of(scene.network.bridge) == gateway
    assert container in scene.inside("ip", "link", "show", "eth0")
