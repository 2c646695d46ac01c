"""The registry driver: reads images from OCI distribution servers, and writes them there.

Words: a *reference* is ``[host[:port]/]path[:tag][@digest]``, normalised as Docker does (``busybox`` is
``docker.io/library/busybox:latest``). A *manifest* describes one image; an *index* names manifests by platform.

Transport: HTTPS; plain HTTP only where the registry's host is loopback. Digests are verified while bytes
stream, and nothing unverified is handed on as complete.
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
    """What a search has found: ``name`` is registry/path."""

    name: str
    description: str = ""
    stars: int = 0
    official: bool = False


class Signature(NamedTuple):
    """``signature`` is over the bytes of ``payload``."""

    payload: bytes
    signature: bytes


#: what became of a blob: the repository had it, or got it from another one of the registry, or from us
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
        """Says that what ``fetch`` brought of a blob is not the blob: whether the next ``fetch`` asks somebody else for
        it, and who has brought it is not asked again."""


class Registry(Source, Protocol):
    """Gives images, and takes them."""

    def head(self, reference: Reference) -> str:
        """The digest of what the reference means now (a manifest's, or an index's): one request, without the content.
        Raises as ``resolve`` does."""

    def tags(self, repository: Reference) -> list[str]:
        """All tags of the reference's repository, sorted. Raises as ``resolve`` does."""

    def search(self, registry: str, term: str, limit: int) -> list[Hit]:
        """The repositories of ``registry`` that it finds for ``term``, ``limit`` at most. Raises as ``resolve`` does,
        naming the registry; ``Permanent`` where it has no search."""

    def signatures(self, reference: Reference, digest: str) -> list[Signature]:
        """What cosign has left in the repository for the image with that digest; nothing of it is verified. Raises as
        ``resolve`` does, but for what is not there."""

    def push_blob(
        self, reference: Reference, blob: Descriptor, content: Callable[[], Iterator[bytes]], elsewhere: str = ""
    ) -> Pushed:
        """Sees to it that the repository has a blob. ``content`` gives all its bytes, each time that it is called;
        ``elsewhere`` is the path of another repository of the same registry that may have it (empty: none known).
        Raises as ``resolve`` does."""

    def push_manifest(self, reference: Reference, raw: bytes, media_type: str) -> None:
        """Gives the reference's tag to an image whose blobs are there. Raises as ``resolve`` does."""

    def acting(self, registry: str, credentials: Credentials) -> Registry:
        """The same driver for one request of somebody who has a login at ``registry`` (host[:port]). Nothing that is
        got by the login serves anybody else, or outlives the returned object; other registries hear nothing of it."""

    def login(self, registry: str) -> None:
        """Makes sure that ``registry`` takes the login of this view, or wants none. Raises as ``resolve`` does, naming
        the registry."""
