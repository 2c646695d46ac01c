"""Each field of a network: its effect is seen on the kernel, and its containers go on or are made anew."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.manifest import contract
from reconciler.testing import images, network_tools, wait
from reconciler.testing.daemon import Pydockd, condition, container
from reconciler.testing.effects import effect_of
from reconciler.testing.inside import Inside

SUBNET = "10.204.1.0/24"


class Wired:
    """A network with one container in it, its port 80 published."""

    def __init__(self, host: Pydockd, image: str, wire: network_tools.Neighbour) -> None:
        self.host, self.wire, self.port = host, wire, images.free_port()
        self.be(subnet=SUBNET)
        ports = [{"containerPort": 80, "hostPort": self.port}]
        host.apply(container("wired", image, networks=[{"name": "net"}], ports=ports))
        self.pid = host.wait_ready_container("wired")["pid"]

    def be(self, **spec: Any) -> dict[str, Any]:
        """Applies the network's spec; returns its status when it is in force."""
        manifest = {"apiVersion": "pydock.dev/v1", "kind": "Network", "metadata": {"name": "net"}, "spec": spec}
        generation = self.host.apply(manifest)["metadata"]["generation"]

        def found() -> dict[str, Any] | None:
            status = (self.host.get("Network", "net") or {"status": {}})["status"]
            there = status.get("observedGeneration") == generation and condition(status, "Ready") == "True"
            return status if there else None

        status = wait.until(found, 10.0, f"generation {generation} of the network")
        assert status is not None
        return status

    def inside(self) -> Inside:
        return Inside(self.pid)

    def in_place(self, **spec: Any) -> Inside:
        """The network with ``spec``, its container still the same."""
        for name in spec:
            assert contract.spec_of("Network")["properties"][name]["x-pydock-change"] == "in-place"
        self.be(subnet=SUBNET, **spec)
        assert self.host.wait_ready_container("wired")["pid"] == self.pid
        return self.inside()

    def made_anew(self, **spec: Any) -> dict[str, Any]:
        """The network's status with ``spec``, its container another process."""
        status, before = self.be(**spec), self.pid

        def fresh() -> int:
            found = self.host.status("wired")
            return found.get("pid", 0) if condition(found, "Ready") == "True" and found.get("pid") != before else 0

        self.pid = wait.until(fresh, 10.0, "a new container")
        return status


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[network_tools.Neighbour]:
    with network_tools.neighbour(tmp_path_factory.mktemp("wire")) as found:
        yield found


@pytest.fixture(scope="module")
def wired(host: Pydockd, image: str, wire: network_tools.Neighbour) -> Wired:
    return Wired(host, image, wire)


def address(wired: Wired) -> str:
    return str(wired.host.status("wired")["addresses"][0]["address"])


@effect_of("Network", "spec.mtu")
def test_mtu(wired: Wired) -> None:
    bridge = wired.host.get("Network", "net")["status"]["bridge"]  # type: ignore[index]
    assert (mtu(wired.inside(), "eth0"), link_mtu(bridge)) == (1500, 1500)
    for wanted in (1400, 1300, 1500):
        inside = wired.in_place(mtu=wanted)
        wait.until(lambda: mtu(inside, "eth0") == wanted, 5.0, f"an mtu of {wanted} inside")  # noqa: B023
        assert link_mtu(bridge) == wanted


def mtu(inside: Inside, link: str) -> int:
    return int(json.loads(inside.run("--net", "ip", "-j", "link", "show", link))[0]["mtu"])


def link_mtu(link: str) -> int:
    return int(json.loads(network_tools.run("ip", "-j", "link", "show", link))[0]["mtu"])


@effect_of("Network", "spec.masquerade")
def test_masquerade(wired: Wired) -> None:
    with network_tools.serving(wired.wire.path, 90, ip=wired.wire.address):
        assert f" {wired.wire.host} " in asked(wired)
        wired.in_place(masquerade=False)
        with routed(wired):
            assert f" {address(wired)} " in asked(wired)
        wired.in_place(masquerade=True)
        assert f" {wired.wire.host} " in asked(wired)


def asked(wired: Wired) -> str:
    """What the neighbour says to the container: its name, who it takes the container for, and its words."""
    return network_tools.ask(wired.inside().network, wired.wire.address, 90)


@contextlib.contextmanager
def routed(wired: Wired) -> Iterator[None]:
    """The neighbour knows the way to the network."""
    wired.wire.command("ip", "route", "add", SUBNET, "via", wired.wire.host)
    yield
    wired.wire.command("ip", "route", "del", SUBNET)


@effect_of("Network", "spec.internal")
def test_internal(wired: Wired) -> None:
    with (
        network_tools.serving(wired.wire.path, 91, ip=wired.wire.address),
        network_tools.serving(wired.inside().network, 80),
    ):
        assert reached(wired) == (True, True)
        wired.in_place(internal=True)
        wait.until(lambda: reached(wired) == (False, False), 5.0, "no way out and none in")
        wired.in_place(internal=False)
        wait.until(lambda: reached(wired) == (True, True), 5.0, "both ways again")


def reached(wired: Wired) -> tuple[bool, bool]:
    """Whether the container reaches the neighbour, and the neighbour its published port."""
    out = network_tools.unreachable(wired.inside().network, wired.wire.address, 91)
    into = network_tools.unreachable(wired.wire.path, wired.wire.host, wired.port)
    return not out, not into


@effect_of("Network", "spec.gateway")
def test_gateway(wired: Wired) -> None:
    status = wired.made_anew(subnet=SUBNET, gateway="10.204.1.77")
    assert status["gateway"] == "10.204.1.77"
    assert "default via 10.204.1.77" in wired.inside().run("--net", "ip", "route")
    assert "inet 10.204.1.77/24" in network_tools.run("ip", "addr", "show", status["bridge"])
    assert wired.made_anew(subnet=SUBNET)["gateway"] == "10.204.1.1"


@effect_of("Network", "spec.subnet")
def test_subnet(wired: Wired) -> None:
    assert address(wired).startswith("10.204.1.")
    status = wired.made_anew(subnet="10.204.9.0/25")
    assert (status["subnet"], status["gateway"]) == ("10.204.9.0/25", "10.204.9.1")
    assert address(wired).startswith("10.204.9.")
    assert f"inet {address(wired)}/25" in wired.inside().run("--net", "ip", "addr", "show", "eth0")
    assert "10.204.1." not in network_tools.run("ip", "addr", "show", status["bridge"])
    wired.made_anew(subnet=SUBNET)


def test_a_free_subnet_is_chosen_when_none_is_written(host: Pydockd, tmp_path: Path) -> None:
    (host.manifests / "free.yaml").write_text(
        "apiVersion: pydock.dev/v1\nkind: Network\nmetadata: {name: free}\nspec: {}\n"
    )
    found = wait.until(lambda: (host.get("Network", "free") or {}).get("status", {}).get("subnet"), 10.0, "a subnet")
    assert found.startswith("10.")
    assert found != SUBNET
