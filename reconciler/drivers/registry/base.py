"""The registry driver: reads images from OCI distribution servers, and writes them there.

Words: a *reference* is ``[host[:port]/]path[:tag][@digest]``, normalised as Docker does (``busybox`` is
``docker.io/library/busybox:latest``). A *manifest* describes one image; an *index* names manifests by platform.

Transport: HTTPS; plain HTTP for registries on loopback, and for those that are configured so. Manifests are verified
here; whoever stores a blob verifies it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple, Protocol

import msgspec

from reconciler.model.credentials import Credentials
from reconciler.model.references import Reference


class Descriptor(msgspec.Struct, frozen=True, rename="camel"):
    media_type: str = ""
    digest: str = ""
    size: int = 0


class Manifest(msgspec.Struct, frozen=True):
    """One image's manifest after the platform was chosen. ``digest`` is the manifest's own, ``index_digest`` that of
    what the reference named (equal where there was no index); ``raw`` its exact bytes."""

    digest: str
    index_digest: str
    media_type: str
    raw: bytes
    config: Descriptor
    layers: tuple[Descriptor, ...]


class Hit(NamedTuple):
    """One result of a search: ``name`` is registry/path."""

    name: str
    description: str = ""
    stars: int = 0
    official: bool = False


class Signature(NamedTuple):
    """``signature`` is over the bytes of ``payload``."""

    payload: bytes
    signature: bytes


#: how a blob came into the repository: it was there, was mounted from another one of the registry, or was uploaded
Pushed = Literal["exists", "mounted", "uploaded"]


class Source(Protocol):
    """Where images come from."""

    def resolve(self, reference: Reference, platform: str = "") -> Manifest:
        """Fetches and checks the manifest for ``platform`` (``linux/arm64``; empty: this host's). Raises ``NotFound``
        (no such image or tag), ``Temporary`` (server busy or unreachable; ``delay`` honours Retry-After),
        ``LoginNeeded`` (it wants a login, or another one), ``Permanent`` (refused or malformed), always naming registry
        and reference."""

    def fetch(self, reference: Reference, blob: Descriptor, offset: int, sink: Callable[[memoryview], None]) -> None:
        """Streams a blob's bytes from ``offset`` on into ``sink``. Raises as ``resolve`` does; the sink may have had a
        part of the bytes by then."""

    def distrust(self, reference: Reference, digest: str) -> bool:
        """Reports that the bytes which ``fetch`` brought are not the blob: whoever sent them is not asked for it again.
        Returns whether there is somebody else for the next ``fetch`` to ask."""


class Registry(Source, Protocol):
    """Gives images, and takes them."""

    def head(self, reference: Reference) -> str:
        """The digest of what the reference means now (a manifest's, or an index's), by one request without the content
        where the registry answers that. Raises as ``resolve`` does."""

    def tags(self, repository: Reference) -> list[str]:
        """All tags of the reference's repository, sorted. Raises as ``resolve`` does."""

    def search(self, registry: str, term: str, limit: int) -> list[Hit]:
        """The repositories of ``registry`` that it finds for ``term``, ``limit`` at most. Raises as ``resolve`` does,
        naming the registry; ``Permanent`` where it has no search."""

    def signatures(self, reference: Reference, digest: str) -> list[Signature]:
        """The signatures that cosign has stored in the repository for the image with that digest, not verified; none is
        no error. Raises as ``resolve`` does otherwise."""

    def push_blob(
        self, reference: Reference, blob: Descriptor, content: Callable[[], Iterator[bytes]], elsewhere: str = ""
    ) -> Pushed:
        """Uploads a blob unless the repository has it. ``content`` gives all its bytes each time it is called;
        ``elsewhere`` is the path of another repository of the same registry that may have it (empty: none known).
        Raises as ``resolve`` does."""

    def push_manifest(self, reference: Reference, raw: bytes, media_type: str) -> None:
        """Gives the reference's tag to an image whose blobs are there. Raises as ``resolve`` does."""

    def acting(self, registry: str, credentials: Credentials) -> Registry:
        """The same driver for one request of somebody who has a login at ``registry`` (host[:port]). No token got by
        the login serves another request or outlives the returned object, and no other registry is told the login."""

    def login(self, registry: str) -> None:
        """Checks that ``registry`` accepts the login of this view, or wants none. Raises as ``resolve`` does, naming
        the registry."""
