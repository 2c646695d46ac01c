"""Decides which file holds an object that several files name.

An object has one owner. The file that holds it keeps it. Among files that name it for the first time in the same look,
the one with the older claim gets it: the file that was written earlier. Where the time of writing does not tell (a copy
may keep it), a file whose name contains another's, such as ``web (copy).yaml``, counts as the copy. A file that wants
what another holds is refused as a whole: its version before stays in force.
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Mapping

from reconciler.model.keys import Key

Claims = Mapping[str, Collection[Key]]
#: path → (last written, last changed), as ``facts.Seen.age``
Ages = Mapping[str, tuple[int, int]]


def refusals(wanted: Claims, before: Claims, owners: Mapping[Key, str], ages: Ages) -> dict[str, dict[Key, str]]:
    """The files whose new versions are refused: path → the objects that another file holds, and which file.

    ``wanted`` are the new versions, ``before`` the versions in force of all files that are there, ``owners`` says who
    holds what now. A refused file falls back to its version before, which may refuse another file in turn: this goes on
    until nothing changes.
    """
    refused: dict[str, dict[Key, str]] = {}
    claimants = _claimants(wanted, before)
    doubtful = {key for key, paths in claimants.items() if len(paths) > 1}
    while doubtful:
        losers = _losers(doubtful, claimants, owners, wanted.keys() - refused.keys(), ages)
        doubtful = set()
        for path, lost in losers.items():
            refused[path] = lost
            for key in wanted[path]:
                claimants[key].discard(path)
            for key in before.get(path, ()):
                claimants.setdefault(key, set()).add(path)
                doubtful.add(key)
            doubtful.update(wanted[path])
        doubtful = {key for key in doubtful if len(claimants[key]) > 1}
    return refused


def by_age(paths: Collection[str], ages: Ages) -> list[str]:
    """``paths`` with the oldest claim first."""

    def seniority(path: str) -> tuple[int, bool, int, str]:
        written, changed = ages.get(path, (0, 0))
        return written, _is_copy(path, paths), changed, path

    return sorted(paths, key=seniority)


def _is_copy(path: str, others: Collection[str]) -> bool:
    """Whether the file's name looks like one that was made from another's: ``web (copy)`` from ``web``."""
    name = _stem(path)
    return any(stem != name and stem in name for stem in map(_stem, others))


def _stem(path: str) -> str:
    return posixpath.splitext(posixpath.basename(path))[0]


def _claimants(wanted: Claims, before: Claims) -> dict[Key, set[str]]:
    found: dict[Key, set[str]] = {}
    for path in wanted.keys() | before.keys():
        for key in wanted.get(path, before.get(path, ())):
            found.setdefault(key, set()).add(path)
    return found


def _losers(
    doubtful: set[Key], claimants: Mapping[Key, set[str]], owners: Mapping[Key, str], new: Collection[str], ages: Ages
) -> dict[str, dict[Key, str]]:
    """The new versions that lose an object, with the winner of each. Versions in force lose nothing."""
    losers: dict[str, dict[Key, str]] = {}
    for key in sorted(doubtful):
        settled = sorted(path for path in claimants[key] if path not in new)
        holder = owners.get(key, "")
        first = [holder] if holder in claimants[key] else settled or by_age(claimants[key], ages)
        for path in sorted(claimants[key]):
            if path != first[0] and path in new:
                losers.setdefault(path, {})[key] = first[0]
    return losers
