"""`pydock commit`: what a container changed in its files becomes the top layer of a new image."""

from __future__ import annotations

import hashlib
import time
import zlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from reconciler import errors, ipc
from reconciler.drivers.registry import base as registries
from reconciler.drivers.registry import manifests
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.images import image_config, local_manifests
from reconciler.jobs import archives as jobs_archives
from reconciler.jobs import tagging
from reconciler.kinds.container.effects import config as container_config
from reconciler.kinds.container.observed import ContainerObserved, Incarnation
from reconciler.kinds.container.spec import ContainerSpec
from reconciler.model import platforms, references, signals
from reconciler.model.keys import Key
from reconciler.model.view import ImageFacts
from reconciler.requests import containers as asked
from reconciler.requests.archives import ImageConfig

#: bytes of the archive that are packed at once
_PIECE = 1 << 20
_GZIP = 31
#: what else a configuration of docker's tells of the container that it was made from
_FORMER = ("container", "container_config", "id", "parent")


class _Source(NamedTuple):
    key: Key
    incarnation: Incarnation
    image: ImageFacts


class _Layer(NamedTuple):
    descriptor: registries.Descriptor
    diff_id: str


def commit(parts: Parts, job: Job) -> dict[str, Any]:
    request = msgspec.convert(job.args, asked.Commit)
    name = tagging.new_name(request.reference) if request.reference else None
    if name is not None:
        parts.images.trust.admit_unsigned(name)
    taken: dict[str, int] = {}
    with jobs_archives.receiving(parts, taken):
        source = _source(parts, request)
        base = jobs_archives.stored(parts, source.image.digest)
        layer = _layer(parts, job, source, taken)
        config = _configuration(parts, request, source, base, layer)
        manifest = local_manifests.manifest_of(
            parts.graph,
            registries.Descriptor(manifests.OCI_CONFIG, local_manifests.keep(parts.graph, config, taken), len(config)),
            [*map(_as_oci, base.layers), layer.descriptor],
            taken,
        )
        wanted = [(name or _nameless(manifest), manifest)]
        return jobs_archives.record(parts, job, wanted, platform=source.image.platform)


def _nameless(manifest: registries.Manifest) -> references.Reference:
    return references.parse(f"committed@{manifest.digest}")


def _source(parts: Parts, request: asked.Commit) -> _Source:
    key = Key.of("Container", request.name, request.namespace)
    with parts.store.snapshot() as session:
        live = session.objects.live(key)
        if live is None:
            raise errors.NotFound(f"{key} not found")
        observed = session.observed.get(live.uid)
        incarnation = observed.incarnation if isinstance(observed, ContainerObserved) else None
        if incarnation is None:
            raise errors.Conflict(f"{key} has not been created yet, so it has no files: 'pydock describe' tells why")
        image = session.images.by_id(incarnation.image_id)
    if image is None:
        raise errors.Conflict(f"{key}: its image {incarnation.image_id} is no longer here")
    return _Source(key, incarnation, image)


def _layer(parts: Parts, job: Job, source: _Source, taken: dict[str, int]) -> _Layer:
    """Stores what the container changed, packed with gzip. No time of packing is in it: the same changes are the same
    blob."""
    id = source.incarnation.id
    plain, packing = hashlib.sha256(), zlib.compressobj(wbits=_GZIP)
    writer = parts.graph.new_blob(-1)
    try:
        for piece in _gathered(parts.graph_driver.diff(id, container_config.PLACED)):
            if job.stopping.is_set():
                raise errors.Temporary("the commit was given up: pydockd is shutting down")
            if job.gone():
                raise ipc.CallerLeft
            plain.update(piece)
            writer.write(packing.compress(piece))
        writer.write(packing.flush())
        if id not in parts.graph_driver.snapshots():
            raise errors.Conflict(f"{source.key} was removed or made anew while its files were read: commit it again")
        size, blob = writer.offset, writer.commit()
    except errors.Temporary as error:
        raise errors.Temporary(f"{source.key}: {error.message}", delay=error.delay) from None
    finally:
        writer.abort()
    taken[blob] = size
    return _Layer(registries.Descriptor(f"{manifests.OCI_LAYER}+gzip", blob, size), f"sha256:{plain.hexdigest()}")


def _gathered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in large pieces."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= _PIECE:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)


def _as_oci(layer: registries.Descriptor) -> registries.Descriptor:
    """A layer of docker's media types, called as in OCI manifests."""
    packing = next((f"+{each}" for each in ("gzip", "zstd") if layer.media_type.endswith(each)), "")
    return registries.Descriptor(manifests.OCI_LAYER + packing, layer.digest, layer.size)


def _configuration(
    parts: Parts, request: asked.Commit, source: _Source, base: registries.Manifest, layer: _Layer
) -> bytes:
    """The base image's with all that it says, and how the container runs; see docs/decisions/0019."""
    raw = parts.graph.read_blob(base.config.digest, image_config.MAX_BYTES)
    document = image_config.document(raw)
    now = datetime.fromtimestamp(time.time(), UTC).isoformat().replace("+00:00", "Z")
    former = image_config.parse(raw, len(base.layers))
    step = {"created": now, "created_by": f"pydock commit {source.key}", "author": request.author,
            "comment": request.message}  # fmt: skip
    document = {key: value for key, value in document.items() if key not in _FORMER} | {
        "created": now,
        "config": _execution(
            (document.get("config") or {}) | {"Env": list(former.env)}, source.incarnation.effective, request.config
        ),
        "rootfs": {"type": "layers", "diff_ids": [*former.diff_ids, layer.diff_id]},
        "history": [*(document.get("history") or ()), {key: value for key, value in step.items() if value}],
    }
    document |= _platform(source.image.platform, former)
    if request.author:
        document["author"] = request.author
    made = msgspec.json.encode(document)
    if len(made) > image_config.MAX_BYTES:
        raise errors.Permanent(f"{source.key}: the image's configuration would have {len(made)} bytes")
    image_config.parse(made, len(base.layers) + 1)
    return made


def _platform(found: str, former: image_config.Config) -> dict[str, str]:
    """What the image is taken as being for, where its base says something else."""
    if not found or platforms.same_machine(str(former.platform), found):
        return {}
    return dict(zip(("os", "architecture", "variant"), platforms.parse(found), strict=True))


def _execution(former: dict[str, Any], spec: ContainerSpec, given: ImageConfig) -> dict[str, Any]:
    """What is run: the image's, the manifest's above it, and what was given with the commit above both."""
    found = dict(former)
    if spec.command is not None:
        found |= {"Entrypoint": list(spec.command), "Cmd": list(spec.args or ())}
    elif spec.args is not None:
        found["Cmd"] = list(spec.args)
    if given.entrypoint:
        found |= {"Entrypoint": given.entrypoint, "Cmd": []}
    said = {
        "WorkingDir": given.working_dir or spec.working_dir,
        "User": given.user or spec.user,
        "StopSignal": given.stop_signal or _stop_signal(spec),
        "Cmd": given.cmd,
        "Env": _merged(found.get("Env") or [], given.env),
        "Labels": (found.get("Labels") or {}) | given.labels,
    }
    found |= {key: value for key, value in said.items() if value}
    return {key: value for key, value in found.items() if value}


def _stop_signal(spec: ContainerSpec) -> str:
    """By its name, as other readers of images know it."""
    return "" if spec.stop_signal is None else signals.name(signals.number(spec.stop_signal))


def _merged(former: list[str], given: list[str]) -> list[str]:
    """Variables by their names, later ones winning."""
    return [f"{name}={value}" for name, value in dict(each.split("=", 1) for each in (*former, *given)).items()]
