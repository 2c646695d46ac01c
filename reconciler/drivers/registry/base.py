"""The registry driver: reads images from OCI distribution servers.

Words: a *reference* is ``[host[:port]/]path[:tag][@digest]``, normalised as Docker does (``busybox`` is
``docker.io/library/busybox:latest``). A *manifest* describes one image; an *index* names manifests by platform.

Transport: HTTPS; plain HTTP only where the registry's host is loopback. Digests are verified while bytes
stream, and nothing unverified is handed on as complete.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from reconciler.model.credentials import Credentials
from reconciler.model.references import Reference


class Descriptor(msgspec.Struct, frozen=True, rename="camel"):
    media_type: str
    digest: str
    size: int


class Manifest(msgspec.Struct, frozen=True):
    """One image's manifest after the platform was chosen. ``digest`` is the manifest's own, ``index_digest`` that of
    what the reference named (equal where there was no index); ``raw`` its exact bytes."""

    digest: str
    index_digest: str
    media_type: str
    raw: bytes
    config: Descriptor
    layers: tuple[Descriptor, ...]


class Registry(Protocol):
    def resolve(self, reference: Reference) -> Manifest:
        """Fetches and checks the manifest for this host's platform. Raises ``NotFound`` (no such image or tag),
        ``Temporary`` (server busy or unreachable; ``delay`` honours Retry-After), ``Forbidden`` (it wants a login, or
        another one), ``Permanent`` (refused or malformed), always naming registry and reference."""

    def fetch(self, reference: Reference, blob: Descriptor, offset: int, sink: Callable[[memoryview], None]) -> None:
        """Streams a blob's bytes from ``offset`` on into ``sink``. Raises as ``resolve`` does; the sink may have had a
        part of the bytes by then."""

    def acting(self, registry: str, credentials: Credentials) -> Registry:
        """The same driver for one request of somebody who has a login at ``registry`` (host[:port]). Nothing that is
        got by the login serves anybody else, or outlives the returned object; other registries hear nothing of it."""

    def login(self, registry: str) -> None:
        """Makes sure that ``registry`` takes the login of this view, or wants none. Raises as ``resolve`` does, naming
        the registry."""
