"""`pydock image load`, `import` and `save`: images that come in archives, or go into them."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from reconciler import errors, failpoints, ipc
from reconciler.drivers.graph import chains
from reconciler.drivers.registry import base as registries
from reconciler.drivers.registry import manifests
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.images import (
    archive,
    archive_input,
    archive_writing,
    image_config,
    local_manifests,
    lookup,
    oci_layout,
    pulling,
    usage,
)
from reconciler.jobs import pushing, tagging
from reconciler.model import references
from reconciler.model.references import Reference
from reconciler.requests import archives as asked


def load(parts: Parts, job: Job) -> dict[str, Any]:
    request = msgspec.convert(job.args, asked.ImageLoad)
    name = tagging.new_name(request.name) if request.name else None
    found = archive.Archive(parts.graph)
    with receiving(parts, found.taken):
        found.read(_input(job))
        _check_whole(job)
        platform = manifests.host_platform(os.uname().machine)
        return record(parts, job, _named(found.images(platform, one=name is not None), name))


def _named(found: list[oci_layout.Found], name: Reference | None) -> list[tuple[Reference, registries.Manifest]]:
    if name is not None:
        if len(found) > 1:
            raise errors.Invalid(f"the archive has {len(found)} images, to which one name cannot be given")
        return [(name, found[0].manifest)]
    for each in found:
        if not each.names:
            raise errors.Invalid(f"the archive does not say how image {each.manifest.digest} is called: give it a name")
    return list({tagging.new_name(text): each.manifest for each in found for text in each.names}.items())


def import_(parts: Parts, job: Job) -> dict[str, Any]:
    request = msgspec.convert(job.args, asked.ImageImport)
    reference = tagging.new_name(request.reference)
    taken: dict[str, int] = {}
    with receiving(parts, taken):
        writer = parts.graph.new_blob(-1)
        try:
            for piece in _input(job).rest():
                writer.write(piece)
            _check_whole(job)
            size, blob = writer.offset, writer.commit()
        finally:
            writer.abort()
        taken[blob] = size
        manifest = _around(parts, request, _layer(parts, blob, size), taken)
        return record(parts, job, [(reference, manifest)])


def _layer(parts: Parts, blob: str, size: int) -> registries.Descriptor:
    return registries.Descriptor(manifests.OCI_LAYER + local_manifests.packing(parts.graph, blob), blob, size)


def _around(
    parts: Parts, request: asked.ImageImport, layer: registries.Descriptor, taken: dict[str, int]
) -> registries.Manifest:
    """Configuration and manifest for one layer."""
    try:
        diff_id = parts.graph.diff_id(layer.digest)
    except errors.Permanent as error:
        raise errors.Permanent(f"the file system's archive: {error.message}") from None
    platform = manifests.host_platform(os.uname().machine)
    now = datetime.fromtimestamp(time.time(), UTC).isoformat().replace("+00:00", "Z")
    given = request.config
    execution = {
        "Entrypoint": given.entrypoint,
        "Cmd": given.cmd,
        "Env": given.env,
        "Labels": given.labels,
        "User": given.user,
        "WorkingDir": given.working_dir,
        "StopSignal": given.stop_signal,
    }
    raw = msgspec.json.encode(
        {
            "created": now,
            "os": platform.os,
            "architecture": platform.architecture,
            **({"variant": platform.variant} if platform.variant else {}),
            "config": {key: value for key, value in execution.items() if value},
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
            "history": [{"created": now, "created_by": "pydock image import", "comment": request.message}],
        }
    )
    image_config.parse(raw, 1)
    config = registries.Descriptor(manifests.OCI_CONFIG, local_manifests.keep(parts.graph, raw, taken), len(raw))
    return local_manifests.manifest_of(parts.graph, config, [layer], taken)


def _input(job: Job) -> archive_input.Input:
    if not job.fds:
        raise errors.Invalid(f"{job.name} needs a descriptor to read from")
    return archive_input.Input(job.fds[0], job.stopping)


def _check_whole(job: Job) -> None:
    """The end of the stream may be that of whoever sent it."""
    if job.gone():
        raise ipc.CallerLeft


@contextlib.contextmanager
def receiving(parts: Parts, taken: dict[str, int]) -> Iterator[None]:
    """What came and is needed by no image in the end is removed, whatever happens."""
    failpoints.hit("archive.before")
    with parts.images.leftovers.kept():
        try:
            yield
        finally:
            parts.images.leftovers.discard((list(taken), []))
    failpoints.hit("archive.after")


def record(
    parts: Parts, job: Job, wanted: list[tuple[Reference, registries.Manifest]], platform: str = ""
) -> dict[str, Any]:
    """Unpacks and records images whose blobs are there, all or none. A reference with a digest is no name: such an
    image gets none."""
    for reference, _ in wanted:
        if not reference.digest:
            parts.images.trust.admit_unsigned(reference)
    job.started()

    def progress(status: str, layer: str, current: int, total: int) -> None:
        job.emit({"status": status, "layer": layer, "current": current, "total": total})

    with contextlib.ExitStack() as held:
        for name in sorted({str(reference) for reference, _ in wanted}):
            held.enter_context(parts.images.locks.hold(name))
        made = []
        try:
            for reference, manifest in wanted:
                pulled = pulling.pull(
                    reference,
                    local_manifests.Source(manifest),
                    parts.graph,
                    platform=platform,
                    progress=progress,
                    stopping=job.stopping,
                )
                made.append(_unnamed(pulled) if reference.digest else pulled)
        except BaseException:
            for _, manifest in wanted:
                parts.images.leftovers.discard(([], _layers(parts, manifest)))
            raise
        failpoints.hit("archive.unpack.after")
        with parts.store.transaction() as session:
            for each in made:
                session.images.put(*each)
            session.relations.note_use([each.facts.digest for each in made], parts.clock.now().wall)
        failpoints.hit("archive.record.after")
        with parts.store.snapshot() as session:
            users = [
                user
                for each in made
                if usage.tagged(each.facts)
                for user in session.objects.naming(references.spellings(each.facts.reference))
            ]
        parts.look(users)
    for each in made:
        name, digest = each.facts.reference, each.facts.digest
        status = f"Present: {name}"
        job.emit({"status": status, "layer": "", "current": 0, "total": 0, "digest": digest, "reference": name})
    return {"images": [each.facts.reference for each in made]}


def _unnamed(pulled: pulling.Pulled) -> pulling.Pulled:
    return pulled._replace(facts=msgspec.structs.replace(pulled.facts, reference=pulled.facts.digest))


def _layers(parts: Parts, manifest: registries.Manifest) -> list[str]:
    """The chain ids that an image would have, top first; none if it cannot be said."""
    try:
        raw = parts.graph.read_blob(manifest.config.digest, image_config.MAX_BYTES)
        return list(chains.chain(image_config.parse(raw, len(manifest.layers)).diff_ids))[::-1]
    except errors.PydockError:
        return []


def save(parts: Parts, job: Job) -> dict[str, Any]:
    request = msgspec.convert(job.args, asked.ImageSave)
    if not job.fds:
        raise errors.Invalid("image_save needs a descriptor to write to")
    with parts.images.leftovers.kept():
        with parts.store.transaction(durable=False) as session:
            found = [(text, lookup.find(session, text)) for text in request.references]
            known = session.images.all()
            session.relations.note_use([rows[0].digest for _, rows in found], parts.clock.now().wall)
        names: dict[str, list[str]] = {}
        for text, rows in found:
            # an id stands for the image, a reference for its name
            own = [rows[0].reference] if len(rows) == 1 and usage.tagged(rows[0]) and not lookup.is_id(text) else []
            names.setdefault(rows[0].digest, []).extend(own)
        saved = [(stored(parts, digest), tuple(dict.fromkeys(own))) for digest, own in names.items()]
        for manifest, _ in saved:
            for blob in (manifest.config, *manifest.layers):
                if not parts.graph.has_blob(blob.digest):
                    pushing.bring(parts, job, blob, known)
        job.started()
        with contextlib.suppress(BrokenPipeError):
            for piece in archive_writing.layout(parts.graph, saved, docker=request.docker):
                _write(job, piece)
    return {}


def stored(parts: Parts, digest: str) -> registries.Manifest:
    raw = parts.graph.read_blob(digest, manifests.MAX_MANIFEST)
    parsed = manifests.parse(raw, "")
    assert parsed.config is not None
    return registries.Manifest(digest, digest, parsed.media_type, raw, parsed.config, parsed.layers)


def _write(job: Job, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        if job.stopping.is_set():
            raise errors.Temporary("the transfer was given up: pydockd is shutting down")
        view = view[os.write(job.fds[0], view) :]
