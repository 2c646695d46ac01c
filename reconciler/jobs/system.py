"""Jobs about the graph as a whole: how images stand on one another's layers, and what takes how much of the disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from reconciler import errors
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.images import disk_sizes, garbage, lookup, strays, usage, verification
from reconciler.jobs.logs import log_path
from reconciler.model import kinds
from reconciler.model.objects import Desired
from reconciler.requests import system as asked
from reconciler.requests.images import ImageTree


def tree(parts: Parts, job: Job) -> dict[str, Any]:
    """`pydock image tree`: of one image the layers below it and those that stand on it, or all."""
    request = msgspec.convert(job.args, ImageTree)
    layers = disk_sizes.layers(parts.images)
    with parts.store.snapshot() as session:
        using, chains = usage.users(session), session.relations.chains()
        images = session.images.all()
        about = {facts.digest for facts in lookup.find(session, request.reference)} if request.reference else None
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
    layers, blobs = disk_sizes.layers(parts.images), disk_sizes.blobs(parts.images)
    snapshots = parts.graph_driver.snapshots()
    with parts.store.snapshot() as session:
        using, images, used_at = usage.users(session), session.images.all(), session.relations.used_at()
        unused = {facts.digest for facts in usage.unused(session, True)}
        made = strays.incarnations(session)
        containers = [desired for desired in session.objects.find() if desired.key.kind == kinds.CONTAINER.name]
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
        "logs": _logs(parts, containers),
        "leftovers": strays.find(parts.images).shown(),
        "pulling": parts.images.leftovers.busy,
        "collection": msgspec.structs.asdict(parts.images.policy),
        "warning": garbage.pressure(parts.images.policy) if _pressed(parts) else "",
    }


def _logs(parts: Parts, containers: Sequence[Desired]) -> list[dict[str, Any]]:
    sizes_of = ((str(desired.key), parts.exec.log_size(log_path(parts, desired.uid))) for desired in containers)
    return [{"key": key, "size": size} for key, size in sorted(sizes_of) if size]


def _pressed(parts: Parts) -> bool:
    made = garbage.plan(parts.images)
    return made.lacking > 0 and made.empty


def collectible(parts: Parts, job: Job) -> dict[str, Any]:
    """What `pydock system prune --collect` would remove, and the daemon by itself the next time it looks."""
    made = garbage.plan(parts.images)
    layers = disk_sizes.layers(parts.images)
    return {
        "items": [usage.shown(facts, usage.NOBODY, layers) for facts in made.images],
        "leftovers": made.strays.shown(),
        "freed": made.freed,
        "lacking": made.lacking,
    }


def collect(parts: Parts, job: Job) -> dict[str, Any]:
    """Images that have grown old, or that the disk has no room for, go."""
    done = garbage.run(parts.images, job.stopping)
    return {"removed": [facts.reference for facts in done.images], "freed": done.freed}


def remove_leftovers(parts: Parts, job: Job) -> dict[str, Any]:
    """What nothing needs goes."""
    request = msgspec.convert(job.args, asked.LeftoversRemove)
    if parts.images.leftovers.busy:
        raise errors.Conflict(
            "an image is being pulled or pushed, and what it needs cannot be told from leftovers: try again when that "
            "has ended"
        )
    found = strays.find(parts.images)
    if not request.dry_run:
        strays.remove(parts.images, found)
    return {"items": found.shown(), "freed": found.size()}


def check(parts: Parts, job: Job) -> dict[str, Any]:
    """`pydock system check`"""
    request = msgspec.convert(job.args, asked.SystemCheck)
    job.started()

    def report(found: verification.Finding) -> None:
        job.emit(msgspec.to_builtins(found))

    summary = verification.run(parts.images, job, report, repair=request.repair)
    job.emit({"summary": msgspec.to_builtins(summary)})
    return {}
