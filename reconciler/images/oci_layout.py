"""The images of an OCI image layout (image-spec, "image-layout.md") whose blobs are in the graph: told from the
signatures, statements and other artifacts that lie beside them."""

from __future__ import annotations

from typing import NamedTuple

from reconciler import errors
from reconciler.drivers.graph import base as graphs
from reconciler.drivers.registry import base as registries
from reconciler.drivers.registry import manifests, media_types
from reconciler.images import image_config

INDEX = "index.json"
REF_NAME, CONTAINERD_NAME = "org.opencontainers.image.ref.name", "io.containerd.image.name"
#: where a tar header says that it is one
_USTAR_AT, _USTAR = 257, b"ustar"
_PACKED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")


class Found(NamedTuple):
    """An image of an archive; ``names`` are what the archive calls it."""

    manifest: registries.Manifest
    names: tuple[str, ...]


class Layout:
    """Reads what ``index``, the bytes of index.json, names."""

    def __init__(self, graph: graphs.Graph, index: bytes, platform: manifests.Platform) -> None:
        self._graph, self._index, self._platform = graph, index, platform

    def images(self, one: bool) -> list[Found]:
        """All, as far as they are for this platform. ``one``: several are one image for several platforms. Raises
        ``Permanent``; ``manifests.NoImage`` where there are artifacts only."""
        parsed = _parsed(self._index, manifests.OCI_INDEX, INDEX)
        choices = [choice for choice in parsed.choices if manifests.is_image(choice)]
        images, other = self._sorted(choices)
        if one and len(images) > 1:
            images = [manifests.choose(tuple(images), self._platform)]
        found = []
        for choice in images:
            try:
                found.append(Found(self._manifest(choice), _names(choice)))
            except manifests.NoImage as error:
                other = other or error
        if not found and (other or parsed.choices):
            raise other or manifests.NoImage("the archive has artifacts only, and no container image")
        return found

    def _sorted(self, choices: list[manifests.Choice]) -> tuple[list[manifests.Choice], manifests.NoImage | None]:
        """Those that are images, or whose manifests are not in the archive; and what one of the others is."""
        images, other = [], None
        for choice in choices:
            try:
                if self._has(choice):
                    self._read(choice)
                images.append(choice)
            except manifests.NoImage as error:
                other = other or error
        return images, other

    def _has(self, choice: manifests.Choice) -> bool:
        manifests.check_descriptor(choice, manifests.MAX_MANIFEST)
        return self._graph.has_blob(choice.digest)

    def _manifest(self, choice: manifests.Choice) -> registries.Manifest:
        """The manifest for this host below what the archive's index names."""
        named = choice.digest
        for _ in range(manifests.MAX_DEPTH):
            manifests.check_descriptor(choice, manifests.MAX_MANIFEST)
            raw, parsed = self._read(choice)
            if parsed.config is not None:
                return registries.Manifest(choice.digest, named, parsed.media_type, raw, parsed.config, parsed.layers)
            choice = manifests.choose(parsed.choices, self._platform)
        raise errors.Permanent("the archive's index leads to other indexes without end")

    def _read(self, choice: manifests.Choice) -> tuple[bytes, manifests.Parsed]:
        """Raises ``NoImage`` for an artifact."""
        raw = self._small(choice.digest, manifests.MAX_MANIFEST)
        parsed = _parsed(raw, choice.media_type, choice.digest)
        if parsed.config is not None and not self._is_image(parsed.config, parsed.layers):
            raise manifests.NoImage(f"the archive's {choice.digest} is no container image, but an artifact")
        return raw, parsed

    def _is_image(self, config: registries.Descriptor, layers: tuple[registries.Descriptor, ...]) -> bool:
        """By its contents, where its types say nothing."""
        if media_types.plain(config.media_type) not in media_types.CONFIGS and self._graph.has_blob(config.digest):
            raw = self._small(config.digest, image_config.MAX_BYTES)
            if not image_config.has_file_system(raw, len(layers)):
                return False
        vague = [layer for layer in layers if media_types.says_nothing(layer.media_type)]
        here = [layer for layer in vague if self._graph.has_blob(layer.digest)]
        return not layers or len(here) < len(layers) or any(self._is_archive(layer.digest) for layer in here)

    def _is_archive(self, digest: str) -> bool:
        with self._graph.open_blob(digest) as file:
            start = file.read(_USTAR_AT + len(_USTAR))
        return start.startswith(_PACKED) or start[_USTAR_AT:] == _USTAR or not start.strip(b"\0")

    def _small(self, digest: str, limit: int) -> bytes:
        try:
            return self._graph.read_blob(digest, limit)
        except errors.NotFound:
            raise errors.Permanent(f"the archive lacks {digest}, which it names: is it whole?") from None


def _parsed(raw: bytes, media_type: str, name: str) -> manifests.Parsed:
    try:
        return manifests.parse(raw, media_type)
    except errors.Permanent as error:
        raise type(error)(f"the archive's {name}: {error.message}") from None


def _names(choice: manifests.Choice) -> tuple[str, ...]:
    """What an index calls an image. A bare tag is no name."""
    name = choice.annotations.get(CONTAINERD_NAME) or choice.annotations.get(REF_NAME) or ""
    return (name,) if "/" in name or ":" in name else ()
