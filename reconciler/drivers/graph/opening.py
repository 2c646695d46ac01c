"""Opening a graph: which driver, and whether the directory is that driver's."""

from __future__ import annotations

import os
import re
from pathlib import Path

from reconciler import errors
from reconciler.drivers.graph import base, files, options, table

_VERSION = 1
#: mount options are separated by commas and colons; a layer's path must fit into 255 bytes
_PLAIN = re.compile(r"/[^,:\\\s\"']{0,200}")


def open_graph(
    root: Path, driver: str | None = None, given: options.Options | None = None
) -> tuple[base.Graph, base.GraphDriver]:
    """Opens (or makes, 0700) the graph at ``root`` and removes what a crash left half-made.

    ``driver`` None takes the one that made ``root``, or else the first that works here. Raises ``Invalid`` for a driver
    that there is not or an option of another one, ``Conflict`` for a root of another driver, ``Permanent`` if the
    driver does not work here.
    """
    wanted = options.driver(driver) if driver else ""
    place = os.path.realpath(root)
    if not _PLAIN.fullmatch(place):
        raise errors.Invalid(
            f"graph root {place!r}: no blanks, quotes, commas, colons, backslashes; at most 200 characters"
        )
    made_by = _made_by(place)
    if wanted and made_by and wanted != made_by:
        raise errors.Conflict(
            f"{place} was made by the {made_by} driver: choose {made_by}, or another root for {wanted}"
        )
    os.makedirs(place, mode=0o700, exist_ok=True)
    os.chmod(place, 0o700)
    chosen = wanted or made_by
    if chosen:
        return _open(place, chosen, given or options.Options(), recorded=bool(made_by))
    return _choose(place, given or options.Options())


def _choose(place: str, given: options.Options) -> tuple[base.Graph, base.GraphDriver]:
    *preferred, last = table.DRIVERS
    for name in preferred:
        try:
            return _open(place, name, given, recorded=False)
        except errors.Permanent:
            continue
    return _open(place, last, given, recorded=False)


def _open(place: str, name: str, given: options.Options, *, recorded: bool) -> tuple[base.Graph, base.GraphDriver]:
    options.check_driver(given, name)
    driver = table.make(name, place, given)
    driver.probe()
    if not recorded:
        files.write(
            os.path.join(place, "format"), f"pydock graph {_VERSION} {name}\n".encode(), driver.graph.temporaries
        )
    return driver.graph, driver


def _made_by(place: str) -> str:
    """The driver that made the root, or empty for a new one."""
    try:
        with open(os.path.join(place, "format"), encoding="ascii") as file:
            words = file.read(200).split()
    except FileNotFoundError:
        if any(os.path.isdir(path) and os.listdir(path) for path in (f"{place}/chains", f"{place}/snapshots")):
            raise errors.Permanent(f"{place}/format is missing: restore it, or move what is there away") from None
        return ""
    except UnicodeDecodeError:
        words = []
    if len(words) != 4 or words[:2] != ["pydock", "graph"]:
        raise errors.Permanent(f"{place}/format is damaged: this is no graph of pydock, or was one")
    if words[2] != str(_VERSION) or words[3] not in table.DRIVERS:
        raise errors.Permanent(f"{place} has format {words[2]} of driver {words[3]}, made by another version of pydock")
    return words[3]
