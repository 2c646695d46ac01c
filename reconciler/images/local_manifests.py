"""Manifests of images whose blobs are in the graph already, and where such images are pulled from."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from reconciler import errors
from reconciler.drivers.graph import base as graphs
from reconciler.drivers.registry import base as registries
from reconciler.drivers.registry import manifests
from reconciler.model.references import Reference


class Source:
    """A ``images.Source`` of an image whose blobs were taken from an archive."""

    def __init__(self, manifest: registries.Manifest) -> None:
        self._manifest = manifest

    def resolve(self, reference: Reference, platform: str = "") -> registries.Manifest:
        return self._manifest

    def distrust(self, reference: Reference, digest: str) -> bool:
        return False

    def fetch(
        self, reference: Reference, blob: registries.Descriptor, offset: int, sink: Callable[[memoryview], None]
    ) -> None:
        raise errors.Permanent(f"image {reference}: the archive lacks {blob.digest}: is it whole?")


def manifest_of(
    graph: graphs.Graph, config: registries.Descriptor, layers: list[registries.Descriptor], taken: dict[str, int]
) -> registries.Manifest:
    """Stores and returns an OCI manifest over blobs that are there."""
    raw = msgspec.json.encode(
        {"schemaVersion": 2, "mediaType": manifests.OCI_MANIFEST, "config": config, "layers": layers}
    )
    digest = keep(graph, raw, taken)
    return registries.Manifest(digest, digest, manifests.OCI_MANIFEST, raw, config, tuple(layers))


def keep(graph: graphs.Graph, raw: bytes, taken: dict[str, int]) -> str:
    """Stores a small blob; its digest."""
    writer = graph.new_blob(len(raw))
    try:
        writer.write(raw)
        digest = writer.commit()
    finally:
        writer.abort()
    taken[digest] = len(raw)
    return digest


def packing(graph: graphs.Graph, digest: str) -> str:
    """How a layer's media type ends: told by the first bytes of its blob."""
    with graph.open_blob(digest) as file:
        start = file.read(4)
    return "+gzip" if start.startswith(b"\x1f\x8b") else "+zstd" if start == b"\x28\xb5\x2f\xfd" else ""
