"""The network driver, opened."""

from __future__ import annotations

from reconciler.drivers.families import Family, Host
from reconciler.drivers.network import driver


def open_family(host: Host) -> Family:
    opened = driver.open_driver(host.instance, host.run)
    return Family(opened, opened.probe())
