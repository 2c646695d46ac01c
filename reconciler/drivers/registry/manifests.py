"""Manifests and indexes: parsed, checked, and the platform chosen. Pure.

Sources: OCI image spec 1.1 (manifest.md, image-index.md), Docker image manifest version 2, schema 2. What comes from a
registry is a stranger's: every size, digest and type is checked before anything is done with it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from reconciler import errors
from reconciler.drivers.registry import base, media_types
from reconciler.model import foreign, platforms, references

MAX_MANIFEST = 4 << 20
MAX_CONFIG = 8 << 20
MAX_LAYERS = 512
MAX_INDEX_ENTRIES = 4096
#: indexes that name indexes
MAX_DEPTH = 4
#: bytes; more than any disk has, and less than what overflows
MAX_BLOB = 1 << 50

OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
#: a layer's media type, but for its packing (``+gzip``, ``+zstd``)
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
MANIFESTS = frozenset((OCI_MANIFEST, DOCKER_MANIFEST))
INDEXES = frozenset((OCI_INDEX, DOCKER_LIST))
ACCEPTED = (OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST)

_ATTESTATION = "vnd.docker.reference.type"


class Platform(msgspec.Struct, frozen=True):
    """What an image is made for, in Go's words (amd64, arm64)."""

    os: str = ""
    architecture: str = ""
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


class Choice(msgspec.Struct, frozen=True, rename="camel"):
    """One manifest that an index names."""

    media_type: str = ""
    digest: str = ""
    size: int = 0
    platform: Platform | None = None
    annotations: dict[str, str] = {}
    artifact_type: str = ""


class _Document(msgspec.Struct, rename="camel"):
    """The parts of a manifest or an index that count; others are left alone."""

    schema_version: int = 0
    media_type: str = ""
    artifact_type: str = ""
    config: base.Descriptor | None = None
    layers: list[base.Descriptor] | None = None
    manifests: list[Choice] | None = None
    fs_layers: Any = None


def host_platform(machine: str) -> Platform:
    """The platform of a host whose ``uname -m`` is ``machine``."""
    return Platform(*platforms.normal("linux", machine))


def parse_platform(text: str) -> Platform:
    """The platform that ``os/architecture[/variant]`` names."""
    return Platform(*platforms.parse(text))


class Parsed(msgspec.Struct, frozen=True):
    """A checked manifest (``config`` is set) or index (``choices`` are)."""

    media_type: str
    config: base.Descriptor | None = None
    layers: tuple[base.Descriptor, ...] = ()
    choices: tuple[Choice, ...] = ()


def parse(raw: bytes, content_type: str) -> Parsed:
    """Checks the bytes of a manifest or index that came as ``content_type``. Raises ``Permanent`` saying what is
    wrong."""
    if len(raw) > MAX_MANIFEST:
        raise errors.Permanent(f"its manifest is larger than the {MAX_MANIFEST} bytes allowed")
    document = foreign.decode(raw, _Document, "its manifest")
    if document.schema_version == 1 or document.fs_layers is not None:
        raise errors.Permanent(
            "its manifest has schema 1, which is retired: push the image again with a present-day tool"
        )
    media_type = _media_type(document, media_types.plain(content_type))
    if media_type in INDEXES:
        return _index(document, media_type)
    return _manifest(document, media_type)


def _media_type(document: _Document, served: str) -> str:
    """The type, on which the header, the document and its shape must agree; where they say nothing, its shape's."""
    if document.manifests is not None and (document.layers is not None or document.config is not None):
        raise errors.Permanent("its manifest has both layers and manifests: it could be read in two ways")
    known, own = MANIFESTS | INDEXES, media_types.plain(document.media_type)
    if own and served in known and own != served:
        raise errors.Permanent(f"its manifest came as {served}, but calls itself {own[:100]}")
    stated = own or (served if served in known else "")
    media_type = stated or (OCI_INDEX if document.manifests is not None else OCI_MANIFEST)
    if media_type not in known:
        raise errors.Permanent(f"its manifest has the unknown type {media_type[:100]!r}")
    if media_type in INDEXES:
        other = document.layers is not None or document.config is not None
    else:
        other = document.manifests is not None
    if other:
        raise errors.Permanent(f"its manifest is called {media_type}, but has the form of the other kind")
    return media_type


def _index(document: _Document, media_type: str) -> Parsed:
    choices = document.manifests or []
    if len(choices) > MAX_INDEX_ENTRIES:
        raise errors.Permanent(f"its index names {len(choices)} manifests: at most {MAX_INDEX_ENTRIES} are allowed")
    return Parsed(media_type, choices=tuple(choices))


def _manifest(document: _Document, media_type: str) -> Parsed:
    if document.config is None:
        raise errors.Permanent("its manifest is malformed: it names no configuration")
    config, layers = document.config, tuple(document.layers or ())
    if len(layers) > MAX_LAYERS:
        raise errors.Permanent(f"it has {len(layers)} layers: at most {MAX_LAYERS} are allowed")
    other = media_types.no_image(config.media_type, [layer.media_type for layer in layers], document.artifact_type)
    if other:
        raise NoImage(f"it is no container image, but {other}")
    check_descriptor(config, MAX_CONFIG)
    for layer in layers:
        check_descriptor(layer, MAX_BLOB)
        if media_types.is_encrypted(layer.media_type):
            raise errors.Permanent(f"layer {layer.digest} is encrypted, which pydock cannot read: push it decrypted")
        if not media_types.may_be_layer(layer.media_type):
            raise errors.Permanent(f"layer {layer.digest} has the unknown type {layer.media_type[:100]!r}")
    return Parsed(media_type, config, layers)


class NoImage(errors.Permanent):
    """it is no container image"""


def check_descriptor(descriptor: base.Descriptor | Choice, limit: int) -> None:
    """Raises ``Permanent`` for a malformed digest or an impossible size."""
    try:
        references.check_digest(descriptor.digest)
    except errors.Invalid as error:
        raise errors.Permanent(f"its manifest is malformed: {error.message}") from None
    if not 0 <= descriptor.size <= limit:
        raise errors.Permanent(f"{descriptor.digest} is said to have {descriptor.size} bytes: expected 0 to {limit}")


def choose(choices: tuple[Choice, ...], host: Platform) -> Choice:
    """The manifest for this host; the first of those that say nothing of a platform, if none is. Raises ``Permanent``
    naming the platforms there are."""
    images = [(choice, _platform(choice)) for choice in choices if is_image(choice)]
    for wanted in _acceptable(host):
        for choice, platform in images:
            if platform == wanted:
                return _checked(choice)
    for choice, platform in images:
        if not platform.architecture and platform.os in ("", host.os):
            return _checked(choice)
    there = ", ".join(sorted({str(platform) for _, platform in images if str(platform)})[:20])
    raise errors.Permanent(f"it is not made for {host}: there is {there or 'no image in it'}")


def _platform(choice: Choice) -> Platform:
    """In Go's words; empty where nothing is said."""
    said = choice.platform or Platform()
    return Platform(*platforms.normal(said.os, said.architecture, said.variant))


def is_called(choice: Choice, media_type: str) -> bool:
    """Whether a manifest of that type is what its index calls it; an index may say nothing of it."""
    said = media_types.plain(choice.media_type)
    return said == media_type or media_types.says_nothing(said)


def is_image(choice: Choice) -> bool:
    """Whether it may be an image or another index, and no attestation and no other artifact."""
    if _ATTESTATION in choice.annotations or choice.artifact_type:
        return False
    if choice.platform is not None and choice.platform.os.lower() == "unknown":
        return False
    media_type = media_types.plain(choice.media_type)
    return media_type in MANIFESTS | INDEXES or media_types.says_nothing(media_type)


def _acceptable(host: Platform) -> list[Platform]:
    """Platforms that run on ``host``, best first. Old ARM code runs on newer cores; x86-64 levels above the first are
    not assumed."""
    name = host.architecture
    variants = {"arm64": ["v8", ""], "amd64": ["", "v1"], "arm": ["v7", "v6", "v5", ""]}.get(name, [host.variant, ""])
    if name == "arm" and host.variant in variants:
        variants = variants[variants.index(host.variant) :]
    return [Platform(host.os, name, variant) for variant in dict.fromkeys(variants)]


def _checked(choice: Choice) -> Choice:
    check_descriptor(choice, MAX_MANIFEST)
    return choice
