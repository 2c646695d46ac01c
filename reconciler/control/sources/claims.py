"""Which file holds which object, when several want it.

One owner an object: of several files that name it, the one that holds it now keeps it, else the first by name gets it.
A file that wants what is another's is refused as a whole: its version before stays in force.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from reconciler.model.keys import Key

Claims = Mapping[str, Collection[Key]]


def refusals(wanted: Claims, before: Claims, owners: Mapping[Key, str]) -> dict[str, dict[Key, str]]:
    """Which files' new versions are refused: path → the objects that another file holds, and which.

    ``wanted`` are the new versions, ``before`` the versions in force of all files that are there, ``owners`` who holds
    what now. A refused file falls back to its version before, which may refuse another: so it goes on until nothing
    changes.
    """
    refused: dict[str, dict[Key, str]] = {}
    claimants = _claimants(wanted, before)
    doubtful = {key for key, paths in claimants.items() if len(paths) > 1}
    while doubtful:
        losers = _losers(doubtful, claimants, owners, wanted.keys() - refused.keys())
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


def _claimants(wanted: Claims, before: Claims) -> dict[Key, set[str]]:
    found: dict[Key, set[str]] = {}
    for path in wanted.keys() | before.keys():
        for key in wanted.get(path, before.get(path, ())):
            found.setdefault(key, set()).add(path)
    return found


def _losers(
    doubtful: set[Key], claimants: Mapping[Key, set[str]], owners: Mapping[Key, str], new: Collection[str]
) -> dict[str, dict[Key, str]]:
    """The new versions that lose an object, with the winner of each. Versions in force lose nothing."""
    losers: dict[str, dict[Key, str]] = {}
    for key in sorted(doubtful):
        settled = sorted(path for path in claimants[key] if path not in new)
        holder = owners.get(key, "")
        first = [holder] if holder in claimants[key] else settled or sorted(claimants[key])
        for path in sorted(claimants[key]):
            if path != first[0] and path in new:
                losers.setdefault(path, {})[key] = first[0]
    return losers
