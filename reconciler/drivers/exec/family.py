"""The exec driver, opened. Options: ``runtime``, the name or path of the OCI runtime (empty: the first that works), and
``logs``, the limits of each container's log."""

from __future__ import annotations

from reconciler.drivers.exec import open_driver
from reconciler.drivers.families import Family, Host


def open_family(host: Host) -> Family:
    driver = open_driver(host.instance, host.run, host.options.get("runtime") or None, host.options.get("logs"))
    facts = driver.probe()
    return Family(driver, f"{facts.name} {facts.version}")
