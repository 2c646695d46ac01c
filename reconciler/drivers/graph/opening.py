"""Opening a graph: which driver, and whether the directory is that driver's."""

from __future__ import annotations

import os
import re
from pathlib import Path

from reconciler import errors
from reconciler.drivers.graph import base, extraction, files, layers, overlay, store, vfs

DRIVERS = ("overlay", "vfs")
#: drivers that there once were, or elsewhere are, and what takes their place
_RETIRED = {"aufs": "overlay", "devicemapper": "overlay", "overlay2": "overlay", "fuse-overlayfs": "overlay"}
_NOT_YET = ("btrfs", "zfs")
_VERSION = 1
#: mount options are separated by commas and colons; a layer's path must fit into 255 bytes
_PLAIN = re.compile(r"/[^,:\\\s\"']{0,200}")


def open_graph(
    root: Path, driver: str | None = None, limits: extraction.Limits | None = None
) -> tuple[base.Graph, base.GraphDriver]:
    """Opens (or makes, 0700) the graph at ``root`` and removes what a crash left half-made.

    ``driver`` None takes the one that made ``root``, or else overlay if it works here, or else vfs. Raises ``Invalid``
    for a driver that there is not, ``Conflict`` for a root of another driver, ``Permanent`` if the driver does not
    work here.
    """
    _check_name(driver)
    place = os.path.realpath(root)
    if not _PLAIN.fullmatch(place):
        raise errors.Invalid(
            f"graph root {place!r}: no blanks, quotes, commas, colons, backslashes; at most 200 characters"
        )
    os.makedirs(place, mode=0o700, exist_ok=True)
    os.chmod(place, 0o700)
    made_by = _made_by(place)
    if driver and made_by and driver != made_by:
        raise errors.Conflict(
            f"{place} was made by the {made_by} driver: choose {made_by}, or another root for {driver}"
        )
    chosen = driver or made_by
    return _open(place, chosen, limits, recorded=bool(made_by)) if chosen else _choose(place, limits)


def _check_name(driver: str | None) -> None:
    if driver is None or driver in DRIVERS:
        return
    known = f"expected one of {', '.join(DRIVERS)}"
    if driver in _RETIRED:
        raise errors.Invalid(f"storage driver {driver!r} is retired: its successor is {_RETIRED[driver]!r}")
    if driver in _NOT_YET:
        raise errors.Invalid(f"storage driver {driver!r} is not yet supported: {known}")
    raise errors.Invalid(f"unknown storage driver {driver!r}: {known}")


def _choose(place: str, limits: extraction.Limits | None) -> tuple[base.Graph, base.GraphDriver]:
    try:
        return _open(place, "overlay", limits, recorded=False)
    except errors.Permanent:
        return _open(place, "vfs", limits, recorded=False)


def _open(
    place: str, name: str, limits: extraction.Limits | None, *, recorded: bool
) -> tuple[base.Graph, base.GraphDriver]:
    form: layers.Form = "overlay" if name == "overlay" else "applied"
    graph = store.GraphStore(place, form, limits)
    driver: base.GraphDriver = overlay.OverlayDriver(graph) if name == "overlay" else vfs.VfsDriver(graph)
    driver.probe()
    if not recorded:
        files.write(os.path.join(place, "format"), f"pydock graph {_VERSION} {name}\n".encode(), graph.temporaries)
    return graph, driver


def _made_by(place: str) -> str:
    """The driver that made the root, or empty for a new one."""
    try:
        with open(os.path.join(place, "format"), encoding="ascii") as file:
            words = file.read(200).split()
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:
        words = []
    if len(words) != 4 or words[:2] != ["pydock", "graph"]:
        raise errors.Permanent(f"{place}/format is damaged: this is no graph of pydock, or was one")
    if words[2] != str(_VERSION) or words[3] not in DRIVERS:
        raise errors.Permanent(f"{place} has format {words[2]} of driver {words[3]}, made by another version of pydock")
    return words[3]
