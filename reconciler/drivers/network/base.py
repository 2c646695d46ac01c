"""The network driver: bridges, veths, addresses, routes, published ports, masquerade, isolation.

Words: a *network* is a bridge with a subnet; an *endpoint* is a container's network namespace with an interface in each
of its networks, and its published ports. Names of links are given by the caller and fixed for the life of the object,
as are a network's subnet and gateway. The namespace is a file below the driver's directory; it, its addresses and its
veths outlive restarts of the container's process.

Life of a network: ``free_subnet`` → ``ensure_network`` → … → ``remove_network`` when no endpoint is in it any more.
Life of an endpoint: ``ensure_endpoint`` (its networks first), again whenever ``drift`` names it or its ports change →
``remove_endpoint``. Every call is idempotent, may find what a killed process left half done, and may come from any
thread; calls for different objects run side by side.

The driver owns one nftables table an instance (family ip), changed by element. It never touches other tables, links
of other kinds or owners, or other instances. Kernel errors come as ``Temporary``, or as ``Permanent`` where the kernel
lacks something or refuses for good. IPv4 only so far: links of ours have IPv6 switched off.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Protocol

import msgspec

#: what of an endpoint can be missing or altered
Facet = Literal["veth", "address", "route", "ports"]
#: what of a network can be
NetworkFacet = Literal["bridge", "address", "rules", "forwarding"]


class NetworkConfig(msgspec.Struct, frozen=True):
    """``subnet`` such as ``10.88.0.0/24``; ``gateway`` is the bridge's address in it. ``internal``: no way out of the
    host and no published ports from outside (the host itself reaches them)."""

    uid: str
    bridge: str
    subnet: str
    gateway: str
    mtu: int = 1500
    internal: bool = False
    masquerade: bool = True


class Interface(msgspec.Struct, frozen=True):
    """``name`` inside the container (eth0 …). The first interface of an endpoint that is not internal carries the
    default route, and published ports lead to it."""

    network_uid: str
    bridge: str
    name: str
    host_name: str
    address: str
    prefix: int
    gateway: str
    mac: str
    mtu: int = 1500
    internal: bool = False


class PublishedPort(msgspec.Struct, frozen=True):
    """``protocol`` tcp or udp; ``host_ip`` 0.0.0.0 means every address of the host."""

    host_ip: str
    host_port: int
    container_port: int
    protocol: str = "tcp"


class EndpointConfig(msgspec.Struct, frozen=True):
    """``uid`` is the container object's: it names the namespace."""

    uid: str
    interfaces: tuple[Interface, ...]
    ports: tuple[PublishedPort, ...] = ()


class ResolvConf(msgspec.Struct, frozen=True):
    """``text`` for a container's /etc/resolv.conf; ``warning`` is a sentence when it names no server."""

    text: str
    warning: str = ""


class NetworkDriver(Protocol):
    def probe(self) -> str:
        """A line naming what is used (kernel, nftables library and version). Raises ``Permanent`` if it cannot work
        here."""

    def free_subnet(self, taken: Iterable[str], large: bool = False) -> str:
        """A /24 that overlaps neither ``taken`` nor any address or route of the host; ``large``: a /16, or the largest
        that is free where there is none. Instances look in different
        places first; should two take the same nevertheless, ``ensure_network`` of the second raises ``Conflict``:
        choose again."""

    def ensure_network(self, config: NetworkConfig) -> None:
        """Makes or repairs bridge, address, forwarding and the network's rules; connected veths and open connections
        stay. Raises ``Conflict`` when the subnet overlaps another address of the host, or the name is somebody's."""

    def remove_network(self, uid: str, bridge: str) -> None:
        """Removes all of it. The last network gone, the instance's table goes too, and forwarding is set
        back if this driver had switched it on."""

    def ensure_endpoint(self, config: EndpointConfig) -> str:
        """Makes or repairs namespace, veths, addresses, routes and published ports with the least force, and withdraws
        ports and interfaces no longer in ``config``. Returns the namespace's path. Raises ``Conflict`` when a host port
        is taken (by an endpoint, another instance or a process), naming by whom if known; ``Temporary`` while a
        network's bridge is missing. Neither has made anything then."""

    def remove_endpoint(self, config: EndpointConfig) -> None:
        """Removes rules, veths and namespace; ``config`` may be older than what was last made."""

    def netns_path(self, uid: str) -> str:
        """Where the endpoint's namespace file is (whether or not it exists)."""

    def resolv_conf(self) -> ResolvConf:
        """What containers ask for names: the host's servers that they can reach, with its search list and options."""

    def drift(
        self, networks: Iterable[NetworkConfig], endpoints: Iterable[EndpointConfig]
    ) -> tuple[dict[str, tuple[NetworkFacet, ...]], dict[str, tuple[Facet, ...]]]:
        """Compares the kernel with what is wanted: by network uid and endpoint uid what is missing or altered
        (sound ones are left out). One pass over links, addresses, routes and the table for all given."""

    def list(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Uids of networks and of endpoints of which anything of ours is left in the kernel or on disk."""

    def event_fds(self) -> tuple[int, ...]:
        """Descriptors that become readable when links, addresses, routes (of the host and of every endpoint's
        namespace) or nftables may have changed. The set changes as endpoints come and go: ask again after every
        change. After a restart an endpoint is listened to from its first ``drift`` or ``ensure_endpoint`` on."""

    def drain(self, fd: int) -> None:
        """Reads away what is pending on one of them (an overrun is no error: it too means *look again*)."""

    def close(self) -> None:
        """Closes sockets; changes nothing in the kernel."""
