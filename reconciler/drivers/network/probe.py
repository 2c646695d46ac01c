"""Trying out, in a namespace that is thrown away, that this kernel has what the driver needs."""

from __future__ import annotations

import contextlib

from reconciler import errors
from reconciler.drivers.network import links, netlink, nft, system
from reconciler.drivers.network.firewall import Firewall


def run(firewall: Firewall) -> str:
    """The version of nftables. Raises ``Permanent`` saying what is missing."""
    try:
        system.in_thread(_try_links)
    except OSError as error:
        raise errors.Permanent(f"this kernel or these privileges do not allow bridges and veths: {error}") from error
    try:
        return firewall.version()
    except nft.NftError as error:
        raise errors.Permanent(f"this kernel's nftables lacks something: {error}") from error


def _try_links() -> None:
    system.unshare_network()
    with contextlib.closing(netlink.Socket(netlink.ROUTE)) as socket:
        socket.change([links.add_bridge("bridge", "02:70:00:00:00:01"), links.set_link("bridge", up=True)])
        bridge = links.link(socket.get([links.get_link("bridge")])[0])
        index = bridge.ifindex if bridge else 0
        with open("/proc/thread-self/ns/net", "rb") as namespace:
            veth = links.add_veth("veth", index, "peer", "02:70:00:00:00:02", 1500, namespace.fileno())
            socket.change([veth, links.set_hairpin("veth")])
