"""Images in archives: OCI image layouts (image-spec, "image-layout.md") and the archives of ``docker save``, read from
a stream.

An archive is a stranger's. It is gone through once: each file becomes a blob while it is read, verified where its name
is a digest, else named by what it has; nothing goes to a path that the archive names. Sizes and counts are bounded.
What came is told in ``taken``, so that what no image needs can be removed.
"""

from __future__ import annotations

import posixpath

import msgspec

from reconciler import errors
from reconciler.drivers.graph import base as graphs
from reconciler.drivers.graph import tar
from reconciler.drivers.registry import base as registries
from reconciler.drivers.registry import manifests
from reconciler.images import local_manifests, oci_layout
from reconciler.images.archive_input import Input
from reconciler.model import foreign, references

MAX_MEMBERS = 50_000
MAX_IMAGES = 256
#: bytes of a name in an archive
_MAX_NAME = 4096
_MAX_LINKS = 16
INDEX, LAYOUT, DOCKER = oci_layout.INDEX, "oci-layout", "manifest.json"
_DOCUMENTS = (INDEX, LAYOUT, DOCKER)
_PACKINGS = {
    b"\x1f\x8b": ("gzip", "gunzip"), b"\x28\xb5\x2f\xfd": ("zstd", "unzstd"), b"\xfd7zXZ": ("xz", "unxz"),
    b"BZh": ("bzip2", "bunzip2"),
}  # fmt: skip


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

    def images(self, platform: manifests.Platform, one: bool) -> list[oci_layout.Found]:
        """The images in it. ``one``: several unnamed ones are one image for several platforms."""
        if INDEX in self._documents:
            found = oci_layout.Layout(self._graph, self._documents[INDEX], platform).images(one)
        elif DOCKER in self._documents:
            found = self._of_docker()
        else:
            raise errors.Permanent(
                "this is no image archive: it has neither index.json (OCI image layout) nor manifest.json (docker "
                "save); 'pydock image import' takes a root file system"
            )
        if not 0 < len(found) <= MAX_IMAGES:
            raise errors.Permanent(f"the archive has {len(found)} images: expected 1 to {MAX_IMAGES}")
        return found

    def _of_docker(self) -> list[oci_layout.Found]:
        entries = foreign.decode(self._documents[DOCKER], list[_DockerImage], f"the archive's {DOCKER}")
        return [oci_layout.Found(self._made(entry), tuple(filter(None, entry.repo_tags))) for entry in entries]

    def _made(self, entry: _DockerImage) -> registries.Manifest:
        """An OCI manifest for what has none."""
        if len(entry.layers) > manifests.MAX_LAYERS:
            raise errors.Permanent(f"the archive has an image of {len(entry.layers)} layers")
        config = self._descriptor(entry.config, manifests.OCI_CONFIG)
        layers = [
            self._descriptor(name, manifests.OCI_LAYER + local_manifests.packing(self._graph, self._file(name)))
            for name in entry.layers
        ]
        return local_manifests.manifest_of(self._graph, config, layers, self.taken)

    def _descriptor(self, name: str, media_type: str) -> registries.Descriptor:
        digest = self._file(name)
        size = self.taken[digest] if digest in self.taken else self._graph.blob_size(digest)
        return registries.Descriptor(media_type, digest, size)

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


class _DockerImage(msgspec.Struct, rename="pascal"):
    """An entry of ``manifest.json`` (https://github.com/moby/docker-image-spec, "Combined Image JSON")."""

    config: str = ""
    layers: list[str] = []
    repo_tags: list[str] = []


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
