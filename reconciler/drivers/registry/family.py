"""The registry's client, opened. Options: ``registries``, how each registry is reached."""

from __future__ import annotations

from reconciler.drivers.families import Family, Host
from reconciler.drivers.registry.mirrors import MirroredClient


def open_family(host: Host) -> Family:
    return Family(MirroredClient(host.options["registries"]), "oci distribution 1.1, docker v2 schema 2")
