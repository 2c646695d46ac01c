"""Trying out, in a namespace that is thrown away, that this kernel has what the driver needs."""

from __future__ import annotations

import contextlib

from reconciler import errors
from reconciler.drivers.network import kernel, links, netlink, nft, system
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
        missing = kernel.lacks("nftables with NAT and connection tracking", *kernel.NFTABLES)
        raise errors.Permanent(f"{missing.message} (nftables says: {_first_line(error)})") from error


def _first_line(error: nft.NftError) -> str:
    return (str(error).splitlines() or [""])[0]


def _try_links() -> None:
    system.unshare_network()
    with contextlib.closing(netlink.Socket(netlink.ROUTE)) as socket:
        with kernel.needs("bridges", "bridge"):
            socket.change([links.add_bridge("bridge", "02:70:00:00:00:01"), links.set_link("bridge", up=True)])
        bridge = links.link(socket.get([links.get_link("bridge")])[0])
        index = bridge.ifindex if bridge else 0
        with open("/proc/thread-self/ns/net", "rb") as namespace:
            veth = links.add_veth("veth", index, "peer", "02:70:00:00:00:02", 1500, namespace.fileno())
            with kernel.needs("virtual Ethernet pairs", "veth"):
                socket.change([veth, links.set_hairpin("veth")])
