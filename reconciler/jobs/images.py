"""Jobs about the images that are in the graph: list, look into, forget."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import msgspec

from reconciler import errors, failpoints
from reconciler.drivers.graph import chains
from reconciler.drivers.registry import manifests
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.images import disk_sizes, image_config, lookup, usage
from reconciler.model.view import ImageFacts
from reconciler.requests import images as asked
from reconciler.store.base import Session


def images(parts: Parts, job: Job) -> dict[str, Any]:
    """`pydock image ls`"""
    layers = disk_sizes.layers(parts.images)
    with parts.store.snapshot() as session:
        using = usage.users(session)
        return {"items": [usage.shown(facts, using, layers) for facts in session.images.all()]}


def unused(parts: Parts, job: Job) -> dict[str, Any]:
    """What `pydock image prune` would remove."""
    request = msgspec.convert(job.args, asked.ImagesUnused)
    with parts.store.snapshot() as session:
        found = usage.unused(session, request.all)
    return _going(parts, found)


def _going(parts: Parts, found: list[ImageFacts]) -> dict[str, Any]:
    """Images that go, with what is free afterwards if each of them goes under all its names."""
    layers = disk_sizes.layers(parts.images)
    items = [usage.shown(facts, usage.NOBODY, layers) for facts in found]
    with parts.store.snapshot() as session:
        left = {facts.digest for facts in session.images.all() if facts not in found}
    gone = {facts.digest for facts in found} - left
    return {"items": items, "freed": layers.freed(gone) + disk_sizes.blobs(parts.images).freed(gone)}


def inspect(parts: Parts, job: Job) -> dict[str, Any]:
    """`pydock image inspect`: what is recorded, with the layers as manifest and configuration name them."""
    request = msgspec.convert(job.args, asked.ImageInspect)
    layers = disk_sizes.layers(parts.images)
    with parts.store.snapshot() as session:
        facts = lookup.find(session, request.reference)[0]
        told = usage.shown(facts, usage.users(session), layers)
        every = [each.reference for each in session.images.all() if each.digest == facts.digest and usage.tagged(each)]
    raw = _blob(parts, facts, facts.image_id, image_config.MAX_BYTES)
    origin = image_config.origin(raw)
    return {
        **told,
        "references": every,
        "created": origin.created,
        "os": origin.os,
        "architecture": origin.architecture,
        "config": _config(facts),
        "layers": _layers(parts, facts, raw),
    }


def _config(facts: ImageFacts) -> dict[str, Any]:
    return {
        "entrypoint": facts.entrypoint,
        "cmd": facts.cmd,
        "env": facts.env,
        "labels": facts.labels,
        "user": facts.user,
        "workingDir": facts.working_dir,
        "stopSignal": facts.stop_signal,
    }


def _layers(parts: Parts, facts: ImageFacts, raw: bytes) -> list[dict[str, Any]]:
    """Bottom first; ``raw`` is the configuration, ``size`` that of the compressed blob."""
    layers = manifests.parse(_blob(parts, facts, facts.digest, manifests.MAX_MANIFEST), "").layers
    diff_ids = image_config.parse(raw, len(layers)).diff_ids
    return [
        {"digest": layer.digest, "mediaType": layer.media_type, "size": layer.size, "diffId": diff, "chainId": chain}
        for layer, diff, chain in zip(layers, diff_ids, chains.chain(diff_ids), strict=True)
    ]


def history(parts: Parts, job: Job) -> dict[str, Any]:
    """`pydock image history`: how the image was made, as its configuration tells it; the last step first."""
    request = msgspec.convert(job.args, asked.ImageHistory)
    with parts.store.snapshot() as session:
        facts = lookup.find(session, request.reference)[0]
    origin = image_config.origin(_blob(parts, facts, facts.image_id, image_config.MAX_BYTES))
    steps = [
        {
            "created": step.created,
            "createdBy": step.created_by,
            "comment": step.comment,
            "emptyLayer": step.empty_layer,
        }
        for step in origin.history
    ]
    return {"digest": facts.digest, "items": steps[::-1]}


def _blob(parts: Parts, facts: ImageFacts, digest: str, limit: int) -> bytes:
    """A small blob of an image. It may be removed while we look."""
    try:
        return parts.graph.read_blob(digest, limit)
    except errors.NotFound:
        raise errors.NotFound(
            f"image {facts.reference}: its blob {digest} is not here any more: pull the image again"
        ) from None


def remove(parts: Parts, job: Job) -> dict[str, Any]:
    """Forgets references, all or none, and removes what no other image needs."""
    request = msgspec.convert(job.args, asked.ImageRemove)
    with parts.store.snapshot() as session:
        names = sorted({_named(session, text, request.exact) for text in request.references})
        going = [_present(session, name) for name in names]
        usage.check_free(session, going)
    told = _going(parts, going)
    if request.dry_run:
        return told
    with ExitStack() as held:
        for name in names:
            if not held.enter_context(parts.images.locks.try_hold(name)):
                raise errors.Conflict(f"image {name} is being pulled: try again when that has ended")
        forget(parts, names)
    return told


def forget(parts: Parts, names: list[str]) -> None:
    """Forgets references that are as the store has them, all or none; whoever asks holds their pulls. Raises
    ``Conflict``, naming the users, or ``NotFound``."""
    blobs: list[str] = []
    layers: list[str] = []
    failpoints.hit("forget.before")
    with parts.store.transaction() as session:
        going = [_present(session, name) for name in names]
        usage.check_free(session, going)
        for name in names:
            unused_blobs, unused_layers = session.images.remove(name)
            blobs += unused_blobs
            layers += unused_layers
    failpoints.hit("forget.record.after")
    parts.images.leftovers.discard((blobs, layers))
    failpoints.hit("forget.after")


def _named(session: Session, text: str, exact: bool) -> str:
    """The one name in the store that ``text`` means."""
    if exact:
        return _present(session, text).reference
    found = lookup.find(session, text)
    if len(found) > 1:
        names = ", ".join(facts.reference for facts in found)
        raise errors.Conflict(f"image {text} has several references: name the one that is to be forgotten: {names}")
    return found[0].reference


def _present(session: Session, name: str) -> ImageFacts:
    facts = session.images.get(name)
    if facts is None:
        raise errors.NotFound(f"image {name} is not here any more")
    return facts
