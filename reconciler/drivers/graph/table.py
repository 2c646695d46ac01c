"""The graph drivers: one row each, the name of its file. On a new root they are tried in this order.

The file has ``make(place, options)``, which gives the driver of the graph in the directory ``place``; it may have
``OPTIONS``, its own storage options: ``NAME.KEY`` → what makes the value of its text, or raises ``errors.Invalid``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

DRIVERS = (
    "overlay",
    "btrfs",
    "vfs",
)  # fmt: skip


def make(name: str, place: str, options: Any) -> Any:
    """The driver, which is not tried yet. ``options`` are ``options.Options``."""
    return _module(name).make(place, options)


def options(name: str) -> Mapping[str, Callable[[str], Any]]:
    """The storage options that are this driver's alone."""
    found: Mapping[str, Callable[[str], Any]] = getattr(_module(name), "OPTIONS", {})
    return found


def _module(name: str) -> Any:
    return importlib.import_module(f"reconciler.drivers.graph.{name}")
