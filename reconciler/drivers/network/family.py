"""The network driver, opened. Options: ``name_servers`` for containers that cannot reach the host's own."""

from __future__ import annotations

import logging

from reconciler.drivers.families import Family, Host
from reconciler.drivers.network import driver

log = logging.getLogger("pydock")


def open_family(host: Host) -> Family:
    opened = driver.open_driver(host.instance, host.run, name_servers=host.options.get("name_servers", ()))
    if warning := opened.resolv_conf().warning:
        log.warning("%s", warning)
    return Family(opened, opened.probe())
