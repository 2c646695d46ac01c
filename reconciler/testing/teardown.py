"""Removing all that an instance left, without its daemon: for tests that ended half-way."""

from __future__ import annotations

import contextlib
from pathlib import Path

from reconciler import errors
from reconciler.drivers import exec as exec_driver
from reconciler.drivers.graph import opening as graph_driver
from reconciler.drivers.network import driver as network_driver
from reconciler.drivers.network.base import EndpointConfig
from reconciler.model import names


def instance(name: str, root: Path, run: Path) -> None:
    """Ends the instance's containers and removes its links, namespaces, mounts, rules and cgroups. Goes on over
    errors."""
    with contextlib.suppress(errors.PydockError, OSError):
        runtime = exec_driver.open_driver(name, run, None)
        runtime.probe()
        for id in runtime.list():
            with contextlib.suppress(errors.PydockError, OSError):
                runtime.delete(id)
    with contextlib.suppress(errors.PydockError, OSError):
        network = network_driver.open_driver(name, run)
        networks, endpoints = network.list()
        for uid in endpoints:
            with contextlib.suppress(errors.PydockError, OSError):
                network.remove_endpoint(EndpointConfig(uid, ()))
        for uid in networks:
            with contextlib.suppress(errors.PydockError, OSError):
                network.remove_network(uid, names.bridge(name, uid))
        network.close()
    with contextlib.suppress(errors.PydockError, OSError):
        _, driver = graph_driver.open_graph(root / "graph", None)
        for id in driver.snapshots():
            with contextlib.suppress(errors.PydockError, OSError):
                driver.remove(id)
