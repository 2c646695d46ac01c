"""The network driver of a real host: Linux bridges, veths, network namespaces and nftables.

Safe for use from many threads at once. All state is the kernel's; what this process keeps are sockets.
"""

from __future__ import annotations

import errno
import functools
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar

from reconciler import errors
from reconciler.drivers.network import host as hosts
from reconciler.drivers.network import owners, probe, resolvers
from reconciler.drivers.network.base import EndpointConfig, Facet, NetworkConfig, NetworkFacet, ResolvConf
from reconciler.drivers.network.bridges import Bridges
from reconciler.drivers.network.endpoint_drift import EndpointDrift
from reconciler.drivers.network.endpoints import Endpoints
from reconciler.drivers.network.events import Events
from reconciler.drivers.network.firewall import Firewall
from reconciler.drivers.network.kept import Kept
from reconciler.drivers.network.namespaces import Namespaces
from reconciler.drivers.network.nft import NftError
from reconciler.drivers.network.pool import Pool
from reconciler.drivers.network.veths import Veths
from reconciler.model import names

#: BR_MAX_PORTS of the kernel's net/bridge/br_private.h: 1024 numbers, of which 0 is none
_BRIDGE_FULL = (
    "the network's bridge has 1023 containers, the most that the kernel lets into one, however large the subnet is: "
    "put this container into another network"
)

P = ParamSpec("P")
T = TypeVar("T")

#: what stays wrong until somebody changes the host or the configuration
_PERMANENT = (errno.EPERM, errno.EINVAL, errno.EOPNOTSUPP, errno.EAFNOSUPPORT, errno.ERANGE)


def open_driver(
    instance: str, run_dir: Path, host_file: Path = hosts.FILE, name_servers: Sequence[str] = ()
) -> LinuxNetwork:
    """The driver for ``instance`` in the calling thread's network namespace. Namespace files go to ``run_dir/netns``;
    ``host_file`` is what all instances of the host share; ``name_servers`` are for containers where the host's own
    cannot be reached. Touches nothing in the kernel yet."""
    return LinuxNetwork(names.check_instance(instance), run_dir / "netns", host_file, name_servers)


def _kernel_errors(method: Callable[P, T]) -> Callable[P, T]:
    """Turns what kernel and nftables say into errors that tell the caller what to do."""

    @functools.wraps(method)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(*args, **kwargs)
        except NftError as error:
            raise errors.Temporary(f"nftables: {error}") from error
        except OSError as error:
            if error.errno == errno.EXFULL:
                raise errors.Temporary(_BRIDGE_FULL) from error
            words = f"network: {method.__name__}: {error.strerror or error}"
            if error.errno in _PERMANENT:
                raise errors.Permanent(words) from error
            raise errors.Temporary(words) from error

    return wrapped


class LinuxNetwork:
    """A ``NetworkDriver``; its interface is the manual."""

    def __init__(self, instance: str, directory: Path, host_file: Path, name_servers: Sequence[str]) -> None:
        self._name_servers = tuple(name_servers)
        self._pool = Pool()
        self._events = Events()
        self._namespaces = Namespaces(directory)
        self._firewall = Firewall(names.nft_table(instance))
        host = hosts.Host(host_file)
        veths = Veths(instance, self._namespaces)
        self._kept = Kept(self._namespaces, self._events)
        self._bridges = Bridges(instance, self._pool, self._firewall, host)
        self._endpoints = Endpoints(self._pool, self._firewall, host, self._namespaces, self._kept, veths)
        self._drift = EndpointDrift(self._pool, self._firewall, self._namespaces, self._kept, veths)

    @_kernel_errors
    def probe(self) -> str:
        return f"Linux {os.uname().release}, {self._firewall.tool} {probe.run(self._firewall)}"

    @_kernel_errors
    def free_subnet(self, taken: Iterable[str], large: bool = False) -> str:
        return self._bridges.free_subnet(taken, large)

    @_kernel_errors
    def ensure_network(self, config: NetworkConfig) -> None:
        owners.check_uid(config.uid)
        self._bridges.ensure(config)

    @_kernel_errors
    def remove_network(self, uid: str, bridge: str) -> None:
        self._bridges.remove(owners.check_uid(uid), bridge)

    @_kernel_errors
    def ensure_endpoint(self, config: EndpointConfig) -> str:
        owners.check_uid(config.uid)
        return self._endpoints.ensure(config)

    @_kernel_errors
    def remove_endpoint(self, config: EndpointConfig) -> None:
        owners.check_uid(config.uid)
        self._endpoints.remove(config)

    def netns_path(self, uid: str) -> str:
        return self._namespaces.path(owners.check_uid(uid))

    @_kernel_errors
    def drift(
        self, networks: Iterable[NetworkConfig], endpoints: Iterable[EndpointConfig]
    ) -> tuple[dict[str, tuple[NetworkFacet, ...]], dict[str, tuple[Facet, ...]]]:
        return self._bridges.drift(list(networks)), self._drift.find(list(endpoints))

    @_kernel_errors
    def list(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return tuple(sorted(self._bridges.uids())), tuple(sorted(self._endpoints.uids()))

    def resolv_conf(self) -> ResolvConf:
        return resolvers.find(self._name_servers)

    def event_fds(self) -> tuple[int, ...]:
        return self._events.fds()

    def drain(self, fd: int) -> None:
        self._events.drain(fd)

    def close(self) -> None:
        self._kept.close()
        self._events.close()
        self._firewall.close()
        self._pool.close()
