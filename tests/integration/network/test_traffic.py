"""Real packets: what must arrive does, what must not does not, with bridge-nf-call-iptables off and on."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.drivers.network.base import EndpointConfig, NetworkConfig, PublishedPort
from reconciler.testing import network_tools as tools
from reconciler.testing import wait
from reconciler.testing.network_linux import LinuxHarness
from reconciler.testing.network_tools import Neighbour, serving

BRIDGE_NF = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")


@pytest.fixture(params=["0", "1"], ids=["plain", "bridge-nf"])
def bridge_nf(request: pytest.FixtureRequest) -> Iterator[None]:
    before = BRIDGE_NF.read_text()
    BRIDGE_NF.write_text(request.param)
    yield
    BRIDGE_NF.write_text(before)


class Site:
    """A host with networks and containers, a neighbour, and a server in every container (TCP and UDP 80)."""

    def __init__(self, harness: LinuxHarness, neighbour: Neighbour, stack: contextlib.ExitStack) -> None:
        self.harness = harness
        self.driver = harness.driver
        self.neighbour = neighbour
        self._stack = stack
        self._last = 1

    def network(self, uid: str = "net", **fields: bool) -> NetworkConfig:
        config = tools.network(self.harness.instance, uid, self.driver.free_subnet(()), **fields)
        self.driver.ensure_network(config)
        return config

    def container(self, uid: str, *networks: NetworkConfig, ports: tuple[PublishedPort, ...] = ()) -> EndpointConfig:
        self._last += 1
        config = tools.endpoint(self.harness.instance, uid, self._last, *networks, ports=ports)
        path = self.driver.ensure_endpoint(config)
        for udp in (False, True):
            self.serve(path, 80, uid, udp)
        return config

    def serve(self, path: str | None, port: int, name: str, udp: bool = False, ip: str = "") -> tools.Server:
        return self._stack.enter_context(serving(path, port, name, udp, ip))

    def path(self, config: EndpointConfig) -> str:
        return self.driver.netns_path(config.uid)


@pytest.fixture
def site(harness: LinuxHarness, tmp_path: Path, bridge_nf: None) -> Iterator[Site]:
    with tools.neighbour(tmp_path) as neighbour, contextlib.ExitStack() as stack:
        yield Site(harness, neighbour, stack)


def address(config: EndpointConfig, index: int = 0) -> str:
    return config.interfaces[index].address


def test_published_ports_answer_the_neighbour(site: Site) -> None:
    ports = (tools.publish(8080), tools.publish(8053, protocol="udp"))
    site.container("web", site.network(), ports=ports)
    here, host = site.neighbour.path, site.neighbour.host
    assert tools.ask(here, host, 8080) == f"web {site.neighbour.address} hello"
    assert tools.ask_udp(here, host, 8053) == f"web {site.neighbour.address} hello"
    assert tools.unreachable(here, host, 8081)


def test_published_ports_answer_the_host_itself(site: Site) -> None:
    network = site.network()
    site.container("web", network, ports=(tools.publish(8080), tools.publish(8053, protocol="udp")))
    assert tools.ask(None, site.neighbour.host, 8080).startswith("web ")
    assert tools.ask(None, "127.0.0.1", 8080) == f"web {network.gateway} hello"
    assert tools.ask_udp(None, "127.0.0.1", 8053) == f"web {network.gateway} hello"
    assert tools.ask(None, network.gateway, 8080).startswith("web ")


def test_a_port_at_one_address_is_only_there(site: Site) -> None:
    site.container("web", site.network(), ports=(tools.publish(8080, host_ip=site.neighbour.host),))
    assert tools.ask(site.neighbour.path, site.neighbour.host, 8080).startswith("web ")
    assert tools.unreachable(None, "127.0.0.1", 8080)


def test_two_addresses_can_have_different_containers(site: Site) -> None:
    network = site.network()
    site.container("one", network, ports=(tools.publish(8080, host_ip=site.neighbour.host),))
    site.container("two", network, ports=(tools.publish(8080, host_ip="127.0.0.1"),))
    assert tools.ask(None, site.neighbour.host, 8080).startswith("one ")
    assert tools.ask(None, "127.0.0.1", 8080).startswith("two ")


def test_a_container_reaches_its_own_published_port(site: Site) -> None:
    network = site.network()
    web = site.container("web", network, ports=(tools.publish(8080), tools.publish(8053, protocol="udp")))
    assert tools.ask(site.path(web), site.neighbour.host, 8080) == f"web {network.gateway} hello"
    assert tools.ask(site.path(web), network.gateway, 8080) == f"web {network.gateway} hello"
    assert tools.ask_udp(site.path(web), site.neighbour.host, 8053) == f"web {network.gateway} hello"


def test_a_container_reaches_anothers_published_port(site: Site) -> None:
    network, second = site.network(), site.network("second")
    site.container("web", network, ports=(tools.publish(8080),))
    beside = site.container("beside", network)
    apart = site.container("apart", second)
    both = site.container("both", second, network)
    for config in (beside, apart, both):
        assert tools.ask(site.path(config), site.neighbour.host, 8080).startswith("web ")


def test_containers_of_a_network_reach_each_other(site: Site) -> None:
    network = site.network()
    web, client = site.container("web", network), site.container("client", network)
    assert tools.ask(site.path(client), address(web), 80) == f"web {address(client)} hello"
    assert tools.ask_udp(site.path(client), address(web), 80) == f"web {address(client)} hello"
    assert tools.ask(None, address(web), 80).startswith("web ")


def test_containers_leave_the_host_masqueraded(site: Site) -> None:
    client = site.container("client", site.network())
    site.serve(site.neighbour.path, 9000, "far")
    site.serve(site.neighbour.path, 9000, "far", udp=True)
    assert tools.ask(site.path(client), site.neighbour.address, 9000) == f"far {site.neighbour.host} hello"
    assert tools.ask_udp(site.path(client), site.neighbour.address, 9000) == f"far {site.neighbour.host} hello"
    assert tools.ask(site.path(client), "198.51.100.1", 9000) == f"far {site.neighbour.host} hello"


def test_without_masquerade_the_own_address_shows(site: Site) -> None:
    network = site.network(masquerade=False)
    client = site.container("client", network)
    site.neighbour.command("ip", "route", "add", network.subnet, "via", site.neighbour.host)
    site.serve(site.neighbour.path, 9000, "far")
    assert tools.ask(site.path(client), site.neighbour.address, 9000) == f"far {address(client)} hello"


def test_no_packet_leaves_unmasqueraded(site: Site) -> None:
    """One that belongs to no connection has nothing to be translated by, and would show the container's address."""
    network = site.network()
    client = site.container("client", network)
    site.serve(site.neighbour.path, 9000, "far", udp=True)
    wire = tools.Wire(site.path(client), "eth0", tools.mac_of(network.bridge))
    with tools.listening_to(site.neighbour.path, "eth0") as following:
        wire.send_syn_ack(address(client), site.neighbour.address, 9000)
        tools.ask_udp(site.path(client), site.neighbour.address, 9000)
        assert following() == (site.neighbour.host, socket.IPPROTO_UDP)


def test_networks_are_apart(site: Site) -> None:
    web = site.container("web", site.network())
    client = site.container("client", site.network("second"))
    assert tools.unreachable(site.path(client), address(web), 80)


def test_instances_are_apart(site: Site) -> None:
    web = site.container("web", site.network())
    name, other = site.harness.other()
    theirs = tools.network(name, "theirs", other.free_subnet(()))
    other.ensure_network(theirs)
    client = tools.endpoint(name, "client", 2, theirs)
    path = other.ensure_endpoint(client)
    site.serve(path, 80, "client")
    assert tools.unreachable(path, address(web), 80)
    assert tools.unreachable(site.path(web), address(client), 80)
    assert tools.ask(None, address(client), 80).startswith("client ")


def test_a_neighbour_reaches_no_container_directly(site: Site) -> None:
    network = site.network()
    web = site.container("web", network, ports=(tools.publish(8080),))
    site.neighbour.command("ip", "route", "add", network.subnet, "via", site.neighbour.host)
    assert tools.unreachable(site.neighbour.path, address(web), 80)
    assert tools.ask(site.neighbour.path, site.neighbour.host, 8080).startswith("web ")


def test_a_neighbour_never_reaches_what_is_published_on_loopback(site: Site) -> None:
    """Not even where somebody has switched route_localnet on for the host's own link."""
    network = site.network()
    site.container("web", network, ports=(tools.publish(8080, host_ip="127.0.0.1"),))
    udp = tools.publish(8053, 90, host_ip="127.0.0.1", protocol="udp")
    victim = site.container("victim", network, ports=(udp,))
    listener = site.serve(site.path(victim), 90, "victim", udp=True)
    Path("/proc/sys/net/ipv4/conf", site.neighbour.link, "route_localnet").write_text("1")
    assert tools.unreachable(site.neighbour.path, site.neighbour.host, 8080)
    wire = tools.Wire(site.neighbour.path, "eth0", tools.mac_of(site.neighbour.link))
    wire.send_udp(site.neighbour.address, "127.0.0.1", 8053)
    assert tools.ask_udp(None, "127.0.0.1", 8053, "allowed").endswith("allowed")
    assert listener.received == 1


def test_a_container_cannot_reach_or_feign_the_hosts_loopback(site: Site) -> None:
    network = site.network()
    client = site.container("client", network)
    private = site.serve(None, 9100, "private", udp=True, ip="127.0.0.1")
    public = site.serve(None, 9101, "public", udp=True)
    # The kernel's own guard against its own addresses coming in from outside, which some hosts switch off.
    Path("/proc/sys/net/ipv4/conf", network.bridge, "accept_local").write_text("1")
    wire = tools.Wire(site.path(client), "eth0", tools.mac_of(network.bridge))
    wire.send_udp(address(client), "127.0.0.1", 9100)
    wire.send_udp("127.0.0.1", network.gateway, 9101)
    wire.send_udp(address(client), network.gateway, 9101)
    wait.until(lambda: public.received, what="the honest datagram")
    assert (private.received, public.received) == (0, 1)


def test_an_internal_network_has_no_way_out_or_in(site: Site) -> None:
    network = site.network(internal=True)
    open_network = site.network("open")
    web = site.container("web", network, ports=(tools.publish(8080),))
    client = site.container("client", network)
    outsider = site.container("outsider", open_network, ports=(tools.publish(8081),))
    site.serve(site.neighbour.path, 9000, "far")
    # A container with NET_ADMIN can give itself the route that it was not given.
    route = ["ip", "route", "add", "default", "via", network.gateway]
    tools.run("nsenter", f"--net={site.path(client)}", *route)
    assert tools.unreachable(site.path(client), site.neighbour.address, 9000)
    assert tools.unreachable(site.path(client), site.neighbour.host, 8081)
    assert tools.unreachable(site.path(outsider), site.neighbour.host, 8080)
    assert tools.unreachable(site.neighbour.path, site.neighbour.host, 8080)
    assert tools.ask(site.path(client), address(web), 80).startswith("web ")
    assert tools.ask(None, "127.0.0.1", 8080).startswith("web ")
    assert tools.ask(None, site.neighbour.host, 8080).startswith("web ")


def test_ports_lead_to_the_interface_with_the_way_out(site: Site) -> None:
    inner, outer = site.network("inner", internal=True), site.network("outer")
    web = site.container("web", inner, outer, ports=(tools.publish(8080),))
    site.serve(site.neighbour.path, 9000, "far")
    assert tools.ask(site.neighbour.path, site.neighbour.host, 8080).startswith("web ")
    assert tools.ask(site.path(web), site.neighbour.address, 9000).startswith("far ")


def test_the_hosts_own_drop_policy_is_obeyed(site: Site) -> None:
    site.container("web", site.network(), ports=(tools.publish(8080),))
    tools.run(
        "nft", "add table ip strict; add chain ip strict f { type filter hook forward priority 10; policy drop; }"
    )
    assert tools.unreachable(site.neighbour.path, site.neighbour.host, 8080)
    tools.run("nft", "delete", "table", "ip", "strict")
    assert tools.ask(site.neighbour.path, site.neighbour.host, 8080).startswith("web ")


def test_other_forwarding_of_the_host_is_left_alone(site: Site, tmp_path: Path) -> None:
    site.network()
    with tools.neighbour(tmp_path, 2) as second:
        site.neighbour.command("ip", "route", "add", f"{second.address}/32", "via", site.neighbour.host)
        second.command("ip", "route", "add", f"{site.neighbour.address}/32", "via", second.host)
        with serving(second.path, 9000, "second"):
            assert tools.ask(site.neighbour.path, second.address, 9000).startswith(f"second {site.neighbour.address}")


def test_no_ipv6_grows_anywhere(site: Site) -> None:
    network = site.network()
    web = site.container("web", network)
    inside = tools.run("nsenter", f"--net={site.path(web)}", "ip", "-o", "-6", "addr", "show", "scope", "link")
    outside = tools.run("ip", "-o", "-6", "addr", "show")
    assert inside == ""
    assert network.bridge not in outside
    assert web.interfaces[0].host_name not in outside
    lines = tools.run("nsenter", f"--net={site.path(web)}", "ip", "-o", "-6", "addr", "show", "dev", "lo")
    assert "::1/128" in lines


def test_a_udp_client_that_spoke_too_early_is_heard_later(site: Site) -> None:
    """Its tracked flow, kept alive by itself, would lead past the container."""
    network = site.network()
    with contextlib.closing(tools.socket_in(site.neighbour.path, socket.SOCK_DGRAM)) as client:
        client.connect((site.neighbour.host, 8053))
        client.send(b"early")
        with pytest.raises(OSError):
            client.recv(100)
        site.container("web", network, ports=(tools.publish(8053, protocol="udp"),))
        client.send(b"late")
        assert client.recv(100).endswith(b"late")


def test_a_udp_client_follows_the_port_to_another_container(site: Site) -> None:
    network = site.network()
    port = (tools.publish(8053, protocol="udp"),)
    first = site.container("first", network, ports=port)
    with contextlib.closing(tools.socket_in(site.neighbour.path, socket.SOCK_DGRAM)) as client:
        client.connect((site.neighbour.host, 8053))
        client.send(b"one")
        assert client.recv(100).startswith(b"first")
        site.driver.remove_endpoint(first)
        site.container("second", network, ports=port)
        client.send(b"two")
        assert client.recv(100).startswith(b"second")


def test_a_withdrawn_port_is_closed(site: Site) -> None:
    web = site.container("web", site.network(), ports=(tools.publish(8080),))
    assert tools.ask(site.neighbour.path, site.neighbour.host, 8080).startswith("web ")
    site.driver.ensure_endpoint(tools.with_ports(web))
    assert tools.unreachable(site.neighbour.path, site.neighbour.host, 8080)
