"""The leak checker: what is there in the kernel and on the disk, before and after, without asking the store.

``snapshot("demo", roots=[root, run_dir], pids=[daemon])`` looks at what may belong to the instance ``demo``;
``snapshot(None)`` looks at the whole host. ``compare`` tells in sentences what came and what went. From a shell::

    python -m reconciler.testing.leaks save before.json
    python -m reconciler.testing.leaks compare before.json
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from reconciler.model import names
from reconciler.testing import leaks_files, leaks_host, leaks_network

_SETTINGS = "network settings"


class Footprint(msgspec.Struct, frozen=True):
    """Facet (``links``, ``mounts``, …) → the things seen, each a line of text; the same line may stand there twice."""

    facets: dict[str, list[str]]


def snapshot(instance: str | None, roots: Sequence[Path] = (), pids: Iterable[int] = ()) -> Footprint:
    """What is there now.

    Of an instance: every link, firewall rule, address and route of this network namespace and its sysctls, the
    mounts and files below ``roots``, named namespaces, the instance's cgroups and processes, and the descriptors that
    ``pids`` have open. Of the host (None): all mounts and cgroups, but no files, processes and descriptors.
    """
    facets = {
        "links": leaks_network.links(),
        "addresses": leaks_network.addresses(),
        "routes": leaks_network.routes(),
        "firewall": leaks_network.firewall(),
        _SETTINGS: leaks_network.settings(),
        "namespaces": leaks_host.namespaces(),
    }
    if instance is None:
        facets |= {"mounts": leaks_host.mounts(), "cgroups": leaks_host.cgroups()}
        return Footprint(facets)
    whole = [path.resolve() for path in roots]
    slice_ = names.slice_name(instance)
    facets |= {
        "mounts": leaks_host.mounts([str(path) for path in whole]),
        "cgroups": leaks_host.cgroups(slice_),
        "processes": leaks_host.processes(instance, slice_, [str(path) for path in whole]),
        "descriptors": [line for pid in pids for line in leaks_host.descriptors(pid)],
        "files": [line for root in whole for line in leaks_files.files(root)],
    }
    return Footprint(facets)


def compare(before: Footprint, after: Footprint, ignore: str = "") -> list[str]:
    """What differs, a sentence each: ``left over in links: …`` and ``gone from links: …``; empty when nothing does.

    Lines in which the regular expression ``ignore`` is found do not count (another run's cgroups, say).
    """
    skip = re.compile(ignore) if ignore else None
    found: list[str] = []
    for facet in {**before.facets, **after.facets}:
        old, new = before.facets.get(facet, []), after.facets.get(facet, [])
        if facet == _SETTINGS:
            old, new = _of_both(old, new), _of_both(new, old)
        came, went = Counter(new) - Counter(old), Counter(old) - Counter(new)
        lines = [f"left over in {facet}: {line}" for line in sorted(came.elements())]
        lines += [f"gone from {facet}: {line}" for line in sorted(went.elements())]
        found += [line for line in lines if skip is None or not skip.search(line)]
    return found


def _of_both(lines: list[str], others: list[str]) -> list[str]:
    """The settings that the others have too: a kernel module brings its own, and those of a link go with it."""
    names_ = {line.partition(" = ")[0] for line in others}
    return [line for line in lines if line.partition(" = ")[0] in names_]


def main(arguments: Sequence[str]) -> int:
    """``save FILE`` or ``compare FILE [IGNORE]``; status 1 when something differs, 2 for wrong arguments."""
    if len(arguments) < 2 or arguments[0] not in ("save", "compare"):
        print("usage: leaks save FILE | leaks compare FILE [IGNORE]", file=sys.stderr)
        return 2
    path, ignore = Path(arguments[1]), "".join(arguments[2:3])
    if arguments[0] == "save":
        path.write_bytes(msgspec.json.encode(snapshot(None)))
        return 0
    differences = compare(msgspec.json.decode(path.read_bytes(), type=Footprint), snapshot(None), ignore)
    for line in differences:
        print(line)
    return 1 if differences else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
