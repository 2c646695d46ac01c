"""The families of drivers, opened by name when the daemon starts: one row each, the name of its folder.

The folder's ``family`` has ``open_family(host)``, which opens the driver and tries it. It raises ``errors.Permanent``,
with a remedy, where the driver cannot work on this host. Kinds find the driver in ``engine.parts.Parts.drivers`` by the
same name; `pydock version` shows its ``version``.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

#: opened in this order
FAMILIES = (
    "exec",
    "graph",
    "network",
    "registry",
)  # fmt: skip


class Host(NamedTuple):
    """Where drivers work: the daemon's instance, ``root`` for what survives a boot and ``run`` for what does not.
    ``options`` are what the host's owner said about this family."""

    instance: str
    root: Path
    run: Path
    options: Mapping[str, Any]


class Family(NamedTuple):
    """``version`` is a line for people."""

    driver: Any
    version: str


def open_all(
    instance: str, root: Path, run: Path, options: Mapping[str, Mapping[str, Any]], names: Iterable[str] = FAMILIES
) -> dict[str, Family]:
    """Every family, open; ``options`` are by family. Raises what a driver raises that does not work here."""
    found = {}
    for name in names:
        module = importlib.import_module(f"reconciler.drivers.{name}.family")
        found[name] = module.open_family(Host(instance, root, run, options.get(name, {})))
    return found
