"""Images in archives: OCI image layouts (image-spec, "image-layout.md") and the archives of ``docker save``, read from
a stream and written to one.

An archive is a stranger's. It is gone through once: each file becomes a blob while it is read, verified where its name
is a digest, else named by what it has; nothing goes to a path that the archive names. Sizes and counts are bounded.
What came is told in ``taken``, so that what no image needs can be removed.
"""

from __future__ import annotations

import os
import posixpath
import select
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

from reconciler import errors
from reconciler.drivers.graph import base as graphs
from reconciler.drivers.graph import tar
from reconciler.drivers.registry import base as registries
from reconciler.drivers.registry import manifests
from reconciler.model import references
from reconciler.model.references import Reference

MAX_MEMBERS = 50_000
MAX_IMAGES = 256
#: bytes of a name in an archive
_MAX_NAME = 4096
_MAX_LINKS = 16
_PIECE = 1 << 18
_INDEX, _LAYOUT, _DOCKER = "index.json", "oci-layout", "manifest.json"
_DOCUMENTS = (_INDEX, _LAYOUT, _DOCKER)
_REF_NAME, _CONTAINERD_NAME = "org.opencontainers.image.ref.name", "io.containerd.image.name"
_PACKINGS = {
    b"\x1f\x8b": ("gzip", "gunzip"), b"\x28\xb5\x2f\xfd": ("zstd", "unzstd"), b"\xfd7zXZ": ("xz", "unxz"),
    b"BZh": ("bzip2", "bunzip2"),
}  # fmt: skip


class Found(NamedTuple):
    """An image of an archive; ``names`` are what the archive calls it."""

    manifest: registries.Manifest
    names: tuple[str, ...]


class Input:
    """A ``tar.Source`` on a pipe; ends when the daemon does."""

    def __init__(self, fd: int, stopping: threading.Event) -> None:
        self._fd, self._stopping = fd, stopping
        self._piece = memoryview(b"")
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self.start = b""

    def take(self, count: int) -> bytes:
        return b"".join(bytes(piece) for piece in self.pieces(count))

    def pieces(self, count: int) -> Iterator[memoryview]:
        while count and (self._piece or self._more()):
            piece = self._piece[:count]
            self._piece = self._piece[len(piece) :]
            count -= len(piece)
            yield piece

    def rest(self) -> Iterator[memoryview]:
        """Everything that is still to come."""
        while self._piece or self._more():
            piece, self._piece = self._piece, memoryview(b"")
            yield piece

    def _more(self) -> bool:
        while not self._poll.poll(500):
            if self._stopping.is_set():
                raise errors.Temporary("the transfer was given up: pydockd is shutting down")
        data = os.read(self._fd, _PIECE)
        self.start = self.start or data[:8]
        self._piece = memoryview(data)
        return bool(data)


class Archive:
    """What one pass over an archive has found. ``taken``: the blobs that it brought."""

    def __init__(self, graph: graphs.Graph) -> None:
        self._graph = graph
        self.taken: dict[str, int] = {}
        self._files: dict[str, str] = {}
        self._links: dict[str, str] = {}
        self._documents: dict[str, bytes] = {}

    def read(self, source: Input) -> None:
        """Takes everything to the stream's end. Raises ``Permanent`` saying what is wrong."""
        try:
            for number, entry in enumerate(reader := tar.Reader(source)):
                if number >= MAX_MEMBERS:
                    raise errors.Permanent(f"the archive has more than {MAX_MEMBERS} files")
                self._member(entry, reader)
        except tar.Malformed as error:
            raise errors.Permanent(_unreadable(source.start, str(error))) from None
        for _ in source.rest():
            continue

    def _member(self, entry: tar.Entry, reader: tar.Reader) -> None:
        name = _clean(entry.name)
        if entry.kind in (tar.LINK, tar.SYMLINK):
            above = posixpath.dirname(name) if entry.kind == tar.SYMLINK else ""
            self._links[name] = _clean(posixpath.join(above, _text(entry.link)).encode())
        if entry.kind != tar.FILE:
            return
        if entry.segments is not None:
            raise errors.Permanent(f"the archive's {name[:200]!r} is stored as a sparse file, which no image has")
        self._links.pop(name, None)
        if name in _DOCUMENTS:
            self._documents[name] = self._document(name, entry, reader)
        else:
            self._files[name] = self._blob(name, entry, reader)

    def _document(self, name: str, entry: tar.Entry, reader: tar.Reader) -> bytes:
        if entry.size > manifests.MAX_MANIFEST:
            raise errors.Permanent(f"the archive's {name} is larger than the {manifests.MAX_MANIFEST} bytes allowed")
        return b"".join(bytes(piece) for piece in reader.data())

    def _blob(self, name: str, entry: tar.Entry, reader: tar.Reader) -> str:
        """Stores a file; its digest. One that is here already is not written again."""
        digest = _named_digest(name)
        if digest and self._graph.has_blob(digest):
            return digest
        size = entry.size
        writer = self._graph.write_blob(digest, size) if digest else self._graph.new_blob(size)
        try:
            for piece in reader.data():
                writer.write(piece)
            found = writer.commit()
        except errors.Permanent as error:
            raise errors.Permanent(f"the archive's {name[:200]!r}: {error.message}") from None
        finally:
            writer.abort()
        self.taken[found] = size
        return found

    def images(self, platform: manifests.Platform, one: bool) -> list[Found]:
        """The images in it. ``one``: several unnamed ones are one image for several platforms."""
        if _INDEX in self._documents:
            found = self._of_layout(platform, one)
        elif _DOCKER in self._documents:
            found = self._of_docker()
        else:
            raise errors.Permanent(
                "this is no image archive: it has neither index.json (OCI image layout) nor manifest.json (docker "
                "save); 'pydock image import' takes a root file system"
            )
        if not 0 < len(found) <= MAX_IMAGES:
            raise errors.Permanent(f"the archive has {len(found)} images: expected 1 to {MAX_IMAGES}")
        return found

    def _of_layout(self, platform: manifests.Platform, one: bool) -> list[Found]:
        parsed = self._parsed(self._documents[_INDEX], manifests.OCI_INDEX, _INDEX)
        choices = [choice for choice in parsed.choices if manifests.is_image(choice)]
        if one and len(choices) > 1:
            choices = [manifests.choose(tuple(choices), platform)]
        return [Found(self._manifest(choice, platform), _names(choice)) for choice in choices]

    def _manifest(self, choice: manifests.Choice, platform: manifests.Platform) -> registries.Manifest:
        """The manifest for this host below what the archive's index names."""
        named = choice.digest
        for _ in range(manifests.MAX_DEPTH):
            manifests.check_descriptor(choice, manifests.MAX_MANIFEST)
            raw = self._small(choice.digest, manifests.MAX_MANIFEST)
            parsed = self._parsed(raw, choice.media_type, choice.digest)
            if parsed.config is not None:
                config, layers = parsed.config, parsed.layers
                return registries.Manifest(choice.digest, named, parsed.media_type, raw, config, layers)
            choice = manifests.choose(parsed.choices, platform)
        raise errors.Permanent("the archive's index leads to other indexes without end")

    def _parsed(self, raw: bytes, media_type: str, name: str) -> manifests.Parsed:
        try:
            return manifests.parse(raw, media_type)
        except errors.Permanent as error:
            raise errors.Permanent(f"the archive's {name}: {error.message}") from None

    def _small(self, digest: str, limit: int) -> bytes:
        try:
            return self._graph.read_blob(digest, limit)
        except errors.NotFound:
            raise errors.Permanent(f"the archive lacks {digest}, which it names: is it whole?") from None

    def _of_docker(self) -> list[Found]:
        try:
            entries = msgspec.json.decode(self._documents[_DOCKER], type=list[_DockerImage])
        except (msgspec.DecodeError, msgspec.ValidationError, RecursionError, UnicodeDecodeError) as error:
            raise errors.Permanent(f"the archive's {_DOCKER} is malformed: {error}") from None
        return [Found(self._made(entry), tuple(entry.repo_tags or ())) for entry in entries]

    def _made(self, entry: _DockerImage) -> registries.Manifest:
        """An OCI manifest for what has none."""
        if len(entry.layers) > manifests.MAX_LAYERS:
            raise errors.Permanent(f"the archive has an image of {len(entry.layers)} layers")
        config = self._descriptor(entry.config, manifests.OCI_CONFIG)
        layers = [
            self._descriptor(name, manifests.OCI_LAYER + packing(self._graph, self._file(name)))
            for name in entry.layers
        ]
        return manifest_of(self._graph, config, layers, self.taken)

    def _descriptor(self, name: str, media_type: str) -> registries.Descriptor:
        digest = self._file(name)
        size = self.taken.get(digest, -1)
        return registries.Descriptor(media_type, digest, size if size >= 0 else blob_size(self._graph, digest))

    def _file(self, name: str) -> str:
        """The digest of a file of the archive, through links within it."""
        path = _clean(name.encode())
        for _ in range(_MAX_LINKS):
            if path in self._files:
                return self._files[path]
            if path not in self._links:
                break
            path = self._links[path]
        raise errors.Permanent(f"the archive lacks {name[:200]!r}, which it names: is it whole?")


class _DockerImage(msgspec.Struct):
    """An entry of ``manifest.json`` (https://github.com/moby/docker-image-spec, "Combined Image JSON")."""

    config: str = msgspec.field(name="Config")
    layers: list[str] = msgspec.field(name="Layers")
    repo_tags: list[str] | None = msgspec.field(name="RepoTags", default=None)


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


def blob_size(graph: graphs.Graph, digest: str) -> int:
    with graph.open_blob(digest) as file:
        return file.seek(0, os.SEEK_END)


def _names(choice: manifests.Choice) -> tuple[str, ...]:
    """What an index calls an image. A bare tag is no name."""
    notes = choice.annotations or {}
    name = notes.get(_CONTAINERD_NAME) or notes.get(_REF_NAME) or ""
    return (name,) if "/" in name or ":" in name else ()


def _named_digest(name: str) -> str:
    """The digest that a file of a layout is named by; empty for others."""
    parts = name.split("/")
    if len(parts) != 3 or parts[0] != "blobs":
        return ""
    try:
        return references.check_digest(f"{parts[1]}:{parts[2]}")
    except errors.Invalid:
        return ""


def _text(name: bytes) -> str:
    return name.decode(errors="backslashreplace")


def _clean(name: bytes) -> str:
    """A name in the archive, as a path below its root."""
    if len(name) > _MAX_NAME:
        raise errors.Permanent(f"the archive has a name of {len(name)} bytes: at most {_MAX_NAME} are allowed")
    return posixpath.normpath(posixpath.join("/", _text(name))).lstrip("/")


def _unreadable(start: bytes, why: str) -> str:
    for magic, (packing, command) in _PACKINGS.items():
        if start.startswith(magic):
            return f"the archive is packed with {packing}: {command} it first"
    return f"the archive cannot be read: {why}"


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
            **({"annotations": {_REF_NAME: name, _CONTAINERD_NAME: name}} if name else {}),
        }
        for manifest, names in saved
        for name in names or ("",)
    ]
    yield from _file(_LAYOUT, b'{"imageLayoutVersion":"1.0.0"}')
    yield from _file(
        _INDEX,
        msgspec.json.encode({"schemaVersion": 2, "mediaType": manifests.OCI_INDEX, "manifests": index}),
    )
    if docker:
        yield from _file(_DOCKER, msgspec.json.encode([_docker_entry(*each) for each in saved]))
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
