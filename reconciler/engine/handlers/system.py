"""Jobs about the graph as a whole: how images stand on one another's layers, and what takes how much of the disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from reconciler import errors
from reconciler.engine import sizes, usage
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.model import requests
from reconciler.model.observed import ContainerObserved
from reconciler.model.view import Entry


def tree(parts: Parts, job: Job) -> dict[str, Any]:
    """`pydock image tree`: of one image the layers below it and those that stand on it, or all."""
    request = msgspec.convert(job.args, requests.ImageTree)
    layers = sizes.layers(parts)
    with parts.store.snapshot() as session:
        using, chains = usage.users(session), session.relations.chains()
        images = session.images.all()
        about = {facts.digest for facts in usage.find(session, request.reference)} if request.reference else None
    found: dict[str, dict[str, Any]] = {"": {"chainId": "", "parent": "", "size": 0, "images": []}} | {
        chain_id: {"chainId": chain_id, "parent": parent, "size": layers.size(chain_id), "images": []}
        for chain in chains.values()
        for parent, chain_id in zip(("", *chain), chain, strict=False)
    }
    shown = set(found) if about is None else _line(chains, [chains.get(digest, []) for digest in about])
    for facts in images:
        top = facts.chain_id
        if about is None or facts.digest in about or (top and top in shown):
            found[top]["images"].append(usage.shown(facts, using, layers))
    items = [each for name, each in sorted(found.items()) if (name in shown if name else each["images"])]
    return {"items": items}


def _line(chains: Mapping[str, Sequence[str]], of: Sequence[Sequence[str]]) -> set[str]:
    """The layers of some chains, and those of every chain that goes on from the top of one of them."""
    tops = {chain[-1] for chain in of if chain}
    whole = {name for chain in of for name in chain}
    return whole.union(*(chain for chain in chains.values() if not tops.isdisjoint(chain)))


def df(parts: Parts, job: Job) -> dict[str, Any]:
    """`pydock system df`"""
    layers, blobs = sizes.layers(parts), sizes.blobs(parts)
    snapshots = parts.graph_driver.snapshots()
    with parts.store.snapshot() as session:
        using, images, used_at = usage.users(session), session.images.all(), session.relations.used_at()
        unused = {facts.digest for facts in usage.unused(session, True)}
        entries = session.entries()
    made = _incarnations(entries)
    space = parts.graph.space()
    return {
        "driver": parts.graph_driver.name,
        "disk": {"size": space.size, "free": space.free, "usedPercent": round(space.used_percent, 1)},
        "images": [usage.shown(each, using, layers) | {"usedAt": used_at.get(each.digest, 0.0)} for each in images],
        "layers": layers.total(),
        "blobs": blobs.total(),
        "reclaimable": layers.freed(unused) + blobs.freed(unused),
        "containers": [
            {"key": key, "id": id, "running": running, "size": parts.graph_driver.usage(id)}
            for id, (key, running) in sorted(made.items(), key=lambda each: each[1])
            if id in snapshots
        ],
        "leftovers": leftovers_found(parts),
        "pulling": parts.leftovers.busy,
    }


def _incarnations(entries: Sequence[Entry]) -> dict[str, tuple[str, bool]]:
    """Incarnation → its container, and whether that runs."""
    return {
        each.observed.incarnation.id: (str(each.desired.key), each.observed.process == "running")
        for each in entries
        if isinstance(each.observed, ContainerObserved) and each.observed.incarnation is not None
    }


def leftovers_found(parts: Parts) -> list[dict[str, Any]]:
    """Blobs, layers and writable layers on disk that nothing needs. The disk is read before the store: names of what
    is made are recorded first, and pulls that are under way are asked for."""
    snapshots = parts.graph_driver.snapshots()
    blobs, layers = parts.leftovers.stray(parts.store, parts.graph)
    with parts.store.snapshot() as session:
        known = _incarnations(session.entries())
    found = [("layer", name, _size(parts.graph.layer_size, name)) for name in layers]
    found += [("blob", name, _size(parts.graph.blob_size, name)) for name in blobs]
    found += [("snapshot", id, parts.graph_driver.usage(id)) for id in snapshots if id not in known]
    return [{"what": what, "name": name, "size": size} for what, name, size in found]


def _size(measure: Callable[[str], int], name: str) -> int:
    """It may be damaged, or gone by now."""
    try:
        return measure(name)
    except (errors.PydockError, OSError):
        return 0
