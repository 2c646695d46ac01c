"""The graph, opened: ``driver`` is the pair of graph and graph driver. Options: ``driver``, a storage driver's name
(empty: the one in use, or what works), and ``options``, ``KEY=VALUE`` words."""

from __future__ import annotations

import logging

from reconciler.drivers.families import Family, Host
from reconciler.drivers.graph import opening, options

log = logging.getLogger("pydock")


def open_family(host: Host) -> Family:
    name = str(host.options.get("driver") or "")
    graph, driver = opening.open_graph(
        host.root / "graph", name or None, options.parse(host.options.get("options") or ())
    )
    if name not in ("", driver.name):
        log.info("storage driver %s is the one that is called %s here", name, driver.name)
    return Family((graph, driver), driver.probe())
