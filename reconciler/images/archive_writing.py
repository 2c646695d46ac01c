"""Images written as an archive: an OCI image layout (image-spec, "image-layout.md"), for docker too if asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import msgspec

from reconciler import errors
from reconciler.drivers.graph import base as graphs
from reconciler.drivers.graph import tar
from reconciler.drivers.registry import base as registries
from reconciler.drivers.registry import manifests
from reconciler.images import archive, oci_layout

_PIECE = 1 << 18


def layout(
    graph: graphs.Graph, saved: list[tuple[registries.Manifest, tuple[str, ...]]], *, docker: bool
) -> Iterator[bytes | memoryview]:
    """An archive of images with their names: an OCI image layout, with the index of ``docker save`` too if ``docker``.

    Blobs are as they are in the store, so digests stay the same."""
    index = [
        {
            "mediaType": manifest.media_type,
            "digest": manifest.digest,
            "size": len(manifest.raw),
            **({"annotations": {oci_layout.REF_NAME: name, oci_layout.CONTAINERD_NAME: name}} if name else {}),
        }
        for manifest, names in saved
        for name in names or ("",)
    ]
    yield from _file(archive.LAYOUT, b'{"imageLayoutVersion":"1.0.0"}')
    yield from _file(
        archive.INDEX,
        msgspec.json.encode({"schemaVersion": 2, "mediaType": manifests.OCI_INDEX, "manifests": index}),
    )
    if docker:
        yield from _file(archive.DOCKER, msgspec.json.encode([_docker_entry(*each) for each in saved]))
    done: set[str] = set()
    for manifest, _ in saved:
        for digest in (manifest.digest, manifest.config.digest, *(layer.digest for layer in manifest.layers)):
            if digest not in done:
                done.add(digest)
                yield from _blob_file(graph, digest)
    yield bytes(2 * tar.BLOCK)


def _docker_entry(manifest: registries.Manifest, names: tuple[str, ...]) -> dict[str, Any]:
    return {
        "Config": _path(manifest.config.digest),
        "RepoTags": names or None,
        "Layers": [_path(layer.digest) for layer in manifest.layers],
    }


def _path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _file(name: str, data: bytes) -> Iterator[bytes]:
    yield _header(name, len(data)) + data + bytes(-len(data) % tar.BLOCK)


def _blob_file(graph: graphs.Graph, digest: str) -> Iterator[bytes]:
    with graph.open_blob(digest) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        yield _header(_path(digest), size)
        left = size
        while left:
            piece = file.read(min(left, _PIECE))
            if not piece:
                raise errors.Permanent(f"blob {digest} became shorter while it was read")
            left -= len(piece)
            yield piece
    yield bytes(-size % tar.BLOCK)


def _header(name: str, size: int) -> bytes:
    import tarfile

    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)
