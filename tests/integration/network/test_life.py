"""What is left afterwards (nothing), what others have (untouched), and what happens at the edges of a life."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler import errors
from reconciler.drivers.network import nft, system
from reconciler.drivers.network.base import EndpointConfig, NetworkConfig
from reconciler.drivers.network.driver import LinuxNetwork
from reconciler.testing import network_tools as tools
from reconciler.testing.network_linux import LinuxHarness

FORWARD = Path("/proc/sys/net/ipv4/ip_forward")


@pytest.fixture(params=["0", "1"], ids=["forwarding-off", "forwarding-on"])
def forwarding(request: pytest.FixtureRequest) -> Iterator[str]:
    FORWARD.write_text(request.param)
    yield request.param
    FORWARD.write_text("0")


def network_of(instance: str, driver: LinuxNetwork, uid: str = "net") -> NetworkConfig:
    config = tools.network(instance, uid, driver.free_subnet(()))
    driver.ensure_network(config)
    return config


def whole_life(harness: LinuxHarness) -> None:
    first, second = network_of(harness.instance, harness.driver), network_of(harness.instance, harness.driver, "second")
    ports = (tools.publish(8080), tools.publish(8053, protocol="udp"), tools.publish(8081, host_ip="127.0.0.1"))
    configs = [
        tools.endpoint(harness.instance, "one", 2, first, ports=ports),
        tools.endpoint(harness.instance, "two", 3, first, second),
    ]
    for config in configs:
        harness.driver.ensure_endpoint(config)
    harness.driver.drift([first, second], configs)
    for config in configs:
        harness.driver.remove_endpoint(config)
    for network in (first, second):
        harness.driver.remove_network(network.uid, network.bridge)


def test_nothing_is_left_and_nothing_else_was_touched(harness: LinuxHarness, forwarding: str) -> None:
    tools.run("ip", "link", "add", "theirs", "type", "bridge")
    tools.run("nft", "add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; }")
    before = tools.host_state()
    whole_life(harness)
    assert tools.host_state() == before
    assert harness.driver.list() == ((), ())
    assert list((harness.directory / harness.instance / "netns").iterdir()) == []
    assert (harness.directory / "host.json").read_text().strip() == ""
    tools.run("ip", "link", "del", "theirs")
    tools.run("nft", "delete", "table", "ip", "filter")


def test_no_descriptor_and_no_thread_is_left(harness: LinuxHarness) -> None:
    def descriptors() -> set[str]:
        return {os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if _open(fd)}

    name, driver = harness.other()
    before, threads = descriptors(), len(os.listdir("/proc/self/task"))
    network = network_of(name, driver)
    for number in range(2, 6):
        driver.ensure_endpoint(tools.endpoint(name, f"web{number}", number, network, ports=(tools.publish(number),)))
    for number in range(2, 6):
        driver.remove_endpoint(tools.endpoint(name, f"web{number}", number, network))
    driver.remove_network(network.uid, network.bridge)
    pooled = descriptors() - before
    assert len(pooled) <= 1, "more than the pool's socket"
    driver.close()
    assert descriptors() <= before
    assert len(os.listdir("/proc/self/task")) == threads


def _open(fd: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{fd}")


def test_closing_changes_nothing(harness: LinuxHarness) -> None:
    network = network_of(harness.instance, harness.driver)
    config = tools.endpoint(harness.instance, "web", 2, network, ports=(tools.publish(8080),))
    path = harness.driver.ensure_endpoint(config)
    before = tools.host_state()
    with tools.serving(path, 80, "web"), tools.conversation(None, "127.0.0.1", 8080) as talk:
        talk.say("one")
        harness.reopen()
        assert talk.say("two").endswith("two")
    assert tools.host_state() == before


def test_the_last_instance_sets_forwarding_back(harness: LinuxHarness) -> None:
    FORWARD.write_text("0")
    name, other = harness.other()
    first = network_of(harness.instance, harness.driver)
    second = network_of(name, other)
    harness.driver.remove_network(first.uid, first.bridge)
    assert FORWARD.read_text() == "1\n"
    assert other.drift([second], []) == ({}, {})
    other.remove_network(second.uid, second.bridge)
    assert FORWARD.read_text() == "0\n"


def test_an_old_note_does_not_switch_off_what_somebody_else_switched_on(harness: LinuxHarness) -> None:
    """A namespace's number can come again, and a note can outlive a kill; who is first does not believe it."""
    namespace = os.stat("/proc/thread-self/ns/net").st_ino
    (harness.directory / "host.json").write_text(f'{{"{namespace}": "0"}}\n')
    FORWARD.write_text("1")
    network = network_of(harness.instance, harness.driver)
    harness.driver.remove_network(network.uid, network.bridge)
    assert FORWARD.read_text() == "1\n"
    FORWARD.write_text("0")


@pytest.mark.parametrize("text", ["", "garbage", "[1]", '{"1": "0"', "\n\n"])
def test_a_damaged_note_is_no_obstacle(harness: LinuxHarness, text: str) -> None:
    (harness.directory / "host.json").write_text(text)
    FORWARD.write_text("0")
    network = network_of(harness.instance, harness.driver)
    harness.driver.remove_network(network.uid, network.bridge)
    assert FORWARD.read_text() == "0\n"


def test_a_leftover_empty_file_is_no_namespace(harness: LinuxHarness) -> None:
    network = network_of(harness.instance, harness.driver)
    config = tools.endpoint(harness.instance, "web", 2, network)
    path = Path(harness.driver.netns_path("web"))
    path.touch()
    assert harness.driver.list()[1] == ("web",)
    assert "veth" in harness.driver.drift([], [config])[1]["web"]
    harness.driver.ensure_endpoint(config)
    assert harness.driver.drift([network], [config]) == ({}, {})
    harness.driver.remove_endpoint(config)
    assert not path.exists()


def test_two_mounts_on_one_another_are_both_taken_away(harness: LinuxHarness) -> None:
    network = network_of(harness.instance, harness.driver)
    config = tools.endpoint(harness.instance, "web", 2, network)
    path = harness.driver.ensure_endpoint(config)
    system.bind_mount(path, path)
    harness.driver.remove_endpoint(config)
    assert path not in Path("/proc/self/mountinfo").read_text()


def test_a_namespace_gone_from_disk_and_its_veth_still_there(harness: LinuxHarness) -> None:
    """As after a kill between the two halves of a removal, while a process held the namespace."""
    network = network_of(harness.instance, harness.driver)
    config = tools.endpoint(harness.instance, "web", 2, network)
    path = harness.driver.ensure_endpoint(config)
    descriptor = os.open(path, os.O_RDONLY)
    harness.reopen()
    system.unmount(path)
    os.unlink(path)
    assert harness.driver.list()[1] == ("web",)
    harness.driver.ensure_endpoint(config)
    assert harness.driver.drift([network], [config]) == ({}, {})
    os.close(descriptor)


@pytest.mark.parametrize("kind", ["bridge", "veth"])
def test_a_foreign_link_of_our_name_is_left_alone(harness: LinuxHarness, kind: str) -> None:
    network = tools.network(harness.instance, "net", harness.driver.free_subnet(()))
    config = tools.endpoint(harness.instance, "web", 2, network)
    name = network.bridge if kind == "bridge" else config.interfaces[0].host_name
    other = "veth" if kind == "bridge" else "bridge"
    tools.run("ip", "link", "add", name, "type", other)
    if kind == "bridge":
        with pytest.raises(errors.Conflict, match="not ours"):
            harness.driver.ensure_network(network)
    else:
        harness.driver.ensure_network(network)
        with pytest.raises(errors.Conflict, match="not ours"):
            harness.driver.ensure_endpoint(config)
    harness.driver.remove_endpoint(config)
    harness.driver.remove_network(network.uid, network.bridge)
    assert other in tools.run("ip", "-d", "link", "show", name)
    tools.run("ip", "link", "del", name)


def test_a_link_of_another_instance_is_left_alone(harness: LinuxHarness) -> None:
    network = network_of(harness.instance, harness.driver)
    tools.run("ip", "link", "set", network.bridge, "alias", "pydock:somebody:network:else")
    with pytest.raises(errors.Conflict, match="somebody"):
        harness.driver.ensure_network(network)
    harness.driver.remove_network(network.uid, network.bridge)
    assert network.bridge in tools.run("ip", "link")
    tools.run("ip", "link", "del", network.bridge)


def test_files_of_others_among_the_namespaces_are_not_ours(harness: LinuxHarness) -> None:
    stranger = Path(harness.driver.netns_path("web")).with_name("not ours")
    stranger.touch()
    assert harness.driver.list() == ((), ())


def test_a_connection_that_uses_the_port_is_no_conflict(harness: LinuxHarness, tmp_path: Path) -> None:
    """Its packets belong to it, whatever is published."""
    network = network_of(harness.instance, harness.driver)
    config = tools.endpoint(harness.instance, "web", 2, network, ports=(tools.publish(8090),))
    with tools.neighbour(tmp_path) as neighbour, tools.serving(neighbour.path, 9000, "far"):
        with contextlib.closing(tools.socket_in(None)) as outgoing:
            outgoing.bind(("", 8090))
            outgoing.connect((neighbour.address, 9000))
            path = harness.driver.ensure_endpoint(config)
            outgoing.sendall(b"hello")
            assert outgoing.recv(100).startswith(b"far")
            with tools.serving(path, 80, "web"):
                assert tools.ask(neighbour.path, neighbour.host, 8090).startswith("web ")


@pytest.mark.parametrize(("only_v6", "refused"), [(0, True), (1, False)])
def test_a_listener_of_both_families_is_a_conflict(harness: LinuxHarness, only_v6: int, refused: bool) -> None:
    network = network_of(harness.instance, harness.driver)
    config = tools.endpoint(harness.instance, "web", 2, network, ports=(tools.publish(8080),))
    with contextlib.closing(tools.socket_in(None, family=socket.AF_INET6)) as listener:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only_v6)
        listener.bind(("::", 8080))
        listener.listen()
        mine = rf"pid {os.getpid()}\) listening on 0\.0\.0\.0:8080"
        with pytest.raises(errors.Conflict, match=mine) if refused else contextlib.nullcontext():
            harness.driver.ensure_endpoint(config)


def test_flows_that_only_pass_by_are_not_forgotten(harness: LinuxHarness, tmp_path: Path) -> None:
    network = network_of(harness.instance, harness.driver)
    config = tools.endpoint(harness.instance, "web", 2, network, ports=(tools.publish(8053, protocol="udp"),))
    with tools.neighbour(tmp_path) as neighbour, tools.serving(neighbour.path, 8053, "far", udp=True):
        with contextlib.closing(tools.socket_in(None, socket.SOCK_DGRAM)) as client:
            client.connect((neighbour.address, 8053))
            client.send(b"hello")
            client.recv(100)
            flow = f"dst={neighbour.address} sport={client.getsockname()[1]} dport=8053"
            assert flow in Path("/proc/net/nf_conntrack").read_text()
            harness.driver.ensure_endpoint(config)
            assert flow in Path("/proc/net/nf_conntrack").read_text()


def test_subnets_of_the_host_are_refused_and_avoided(harness: LinuxHarness, tmp_path: Path) -> None:
    with tools.neighbour(tmp_path):
        with pytest.raises(errors.Conflict, match=r"203\.0\.113\.16/28"):
            harness.driver.ensure_network(tools.network(harness.instance, "net", "203.0.113.0/24"))
        first = harness.driver.free_subnet(())
        tools.run("ip", "route", "add", first, "via", "203.0.113.18")
        assert harness.driver.free_subnet(()) != first
        tools.run("ip", "route", "del", first)


def test_all_private_space_routed_elsewhere(harness: LinuxHarness, tmp_path: Path) -> None:
    with tools.neighbour(tmp_path):
        wide = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
        for subnet in wide:
            tools.run("ip", "route", "add", subnet, "via", "203.0.113.18")
        with pytest.raises(errors.Permanent, match="give the network a subnet"):
            harness.driver.free_subnet(())
        for subnet in wide:
            tools.run("ip", "route", "del", subnet)


def test_a_large_mtu_stays_when_containers_come_and_go(harness: LinuxHarness) -> None:
    """A bridge left to itself takes its MTU from its ports."""
    network = tools.network(harness.instance, "net", harness.driver.free_subnet(()), mtu=9000)
    config = tools.endpoint(harness.instance, "web", 2, network)
    harness.driver.ensure_network(network)
    assert harness.driver.drift([network], []) == ({}, {})
    harness.driver.ensure_endpoint(config)
    assert harness.driver.drift([network], [config]) == ({}, {})
    harness.driver.remove_endpoint(config)
    assert harness.driver.drift([network], []) == ({}, {})


def test_a_removed_containers_connections_end(harness: LinuxHarness) -> None:
    # a port of its own: the kernel remembers for a while what other tests had on theirs
    network = network_of(harness.instance, harness.driver)
    config = tools.endpoint(harness.instance, "web", 2, network, ports=(tools.publish(8097),))
    path = harness.driver.ensure_endpoint(config)
    with tools.serving(path, 80, "web"), tools.conversation(None, "127.0.0.1", 8097) as talk:
        talk.say("hello")
        assert "dport=8097" in Path("/proc/net/nf_conntrack").read_text()
        harness.driver.remove_endpoint(config)
        assert "dport=8097" not in Path("/proc/net/nf_conntrack").read_text()


def test_the_nft_command_does_what_the_library_does(harness: LinuxHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    network = network_of(harness.instance, harness.driver)
    config = tools.endpoint(harness.instance, "web", 2, network, ports=(tools.publish(8080),))
    harness.driver.ensure_endpoint(config)

    def no_library(self: nft.Library) -> None:
        raise OSError("libnftables.so.1: cannot open shared object file")

    monkeypatch.setattr(nft.Library, "__init__", no_library)
    driver = harness.reopen()
    assert "nft command" in driver.probe()
    assert driver.drift([network], [config]) == ({}, {})
    tools.run("nft", "flush", "ruleset")
    driver.ensure_network(network)
    driver.ensure_endpoint(config)
    assert driver.drift([network], [config]) == ({}, {})
    driver.remove_endpoint(config)
    driver.remove_network(network.uid, network.bridge)
    assert tools.run("nft", "list", "ruleset") == ""


def test_neither_library_nor_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nft, "_LIBRARY", "libnothing.so.9")
    monkeypatch.setattr(nft, "_SEARCHED", "/nonexistent")
    with pytest.raises(errors.Permanent, match="apt install nftables"):
        nft.open_nft()


def test_endpoint_without_networks(harness: LinuxHarness) -> None:
    config = EndpointConfig("alone", ())
    path = harness.driver.ensure_endpoint(config)
    assert harness.driver.drift([], [config]) == ({}, {})
    assert "UP" in tools.run("nsenter", f"--net={path}", "ip", "link", "show", "lo")
    harness.driver.remove_endpoint(config)
    assert harness.driver.list() == ((), ())


def test_concurrent_looks_never_report_what_is_being_made(harness: LinuxHarness) -> None:
    """A look from another thread while an endpoint is mended sees it before or after, never half."""
    network = network_of(harness.instance, harness.driver)
    config = tools.endpoint(harness.instance, "web", 2, network, ports=(tools.publish(8080),))
    harness.driver.ensure_endpoint(config)
    with contextlib.ExitStack() as stack:
        seen: list[object] = []
        looking = stack.enter_context(tools.repeatedly(lambda: seen.append(harness.driver.drift([], [config]))))
        for _ in range(30):
            harness.driver.ensure_endpoint(config)
        looking.wait_for(20)
    assert all(look == ({}, {}) for look in seen)
