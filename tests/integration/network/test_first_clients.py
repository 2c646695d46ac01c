"""Clients that come while a port is being published: refused at once, as long as nobody serves it."""

from __future__ import annotations

import contextlib
import functools
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from reconciler import errors
from reconciler.drivers.network import firewall, inside, netlink
from reconciler.testing import network_tools as tools
from reconciler.testing.network_linux import LinuxHarness
from reconciler.testing.wait import until

#: much less than the second after which a lost SYN is sent again
_AT_ONCE = 0.5
_PORT = 8080


@contextlib.contextmanager
def impatient(port: int) -> Iterator[list[float]]:
    """Two clients that connect again and again; the seconds that each attempt took."""
    took: list[float] = []
    ended = threading.Event()

    def connect() -> None:
        while not ended.is_set():
            began = time.monotonic()
            with socket.socket() as client, contextlib.suppress(OSError):
                client.settimeout(3.0)
                client.connect(("127.0.0.1", port))
            took.append(time.monotonic() - began)

    threads = [threading.Thread(target=connect) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield took
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def _reached(took: list[float], count: int) -> bool:
    return len(took) >= count


def test_nobody_waits_for_the_first_container_of_a_network(harness: LinuxHarness) -> None:
    network = tools.network(harness.instance, "net", harness.driver.free_subnet(()))
    harness.driver.ensure_network(network)
    for number in range(12):
        config = tools.endpoint(harness.instance, f"web{number}", number + 2, network, ports=(tools.publish(_PORT),))
        with impatient(_PORT) as took:
            harness.driver.ensure_endpoint(config)
            enough = len(took) + 100
            until(functools.partial(_reached, took, enough), 10.0, "clients that come afterwards")
        harness.driver.remove_endpoint(config)
        assert max(took) < _AT_ONCE


def test_a_port_leads_inside_only_when_packets_get_through(
    harness: LinuxHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = tools.network(harness.instance, "net", harness.driver.free_subnet(()))
    harness.driver.ensure_network(network)
    config = tools.endpoint(harness.instance, "web", 2, network, ports=(tools.publish(_PORT),))
    running: list[bool] = []
    put = firewall.Firewall.put

    def watched(self: firewall.Firewall, owner: str, sets: Sequence[str], elements: Sequence[Any]) -> firewall.Change:
        with contextlib.closing(netlink.Socket(netlink.ROUTE)) as host:
            found = inside.named_links(host, [network.bridge, config.interfaces[0].host_name])
        running.extend(link.running for link in found.values())
        return put(self, owner, sets, elements)

    monkeypatch.setattr(firewall.Firewall, "put", watched)
    harness.driver.ensure_endpoint(config)
    assert running == [True, True]


def test_who_finds_the_port_taken_at_the_last_moment_leaves_nothing(
    harness: LinuxHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = tools.network(harness.instance, "net", harness.driver.free_subnet(()))
    harness.driver.ensure_network(network)

    def taken(*_: Any) -> Any:
        raise errors.Conflict("another was quicker")

    monkeypatch.setattr(firewall.Firewall, "put", taken)
    config = tools.endpoint(harness.instance, "web", 2, network, ports=(tools.publish(_PORT),))
    with pytest.raises(errors.Conflict, match="quicker"):
        harness.driver.ensure_endpoint(config)
    assert harness.driver.list()[1] == ()
