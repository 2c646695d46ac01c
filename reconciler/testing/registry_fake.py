"""A registry in memory that counts what it is asked for, and fails when told to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from reconciler import errors
from reconciler.drivers.registry import base, manifests
from reconciler.model import references
from reconciler.model.credentials import Credentials
from reconciler.model.references import Reference
from reconciler.testing import images
from reconciler.testing.images import Image


class FakeRegistry:
    """A ``base.Registry``. ``images`` maps a reference's text to an image. ``asked`` and ``resolved`` are the texts of
    references whose digest or manifest was asked for, ``fetched`` the digests of blobs, in order, with the offset they
    were asked from. ``breaks`` maps a digest to the offsets at which its transfer breaks off, one for each try;
    ``gate``, if set, holds every fetch until it is open; ``down`` fails every request for a digest or a manifest.
    ``pushed`` are blobs by repository and digest; ``refuses`` is raised, the last first, for blobs that are pushed;
    ``signed`` are signatures by digest."""

    def __init__(self) -> None:
        self.images: dict[str, Image] = {}
        self.resolved: list[str] = []
        self.asked: list[str] = []
        self.down = False
        self.fetched: list[tuple[str, int]] = []
        self.breaks: dict[str, list[int]] = {}
        self.gate: threading.Event | None = None
        self.pushed: dict[str, dict[str, bytes]] = {}
        self.refuses: list[errors.PydockError] = []
        self.signed: dict[str, list[base.Signature]] = {}

    def add(self, reference: str, image: Image) -> None:
        self.images[reference] = image

    def head(self, reference: Reference) -> str:
        self.asked.append(str(reference))
        self._check_up(reference)
        image = self.images.get(str(reference))
        if image is None:
            raise errors.NotFound(f"image {reference}: registry {reference.registry}: it does not have it")
        return image.digest

    def resolve(self, reference: Reference, platform: str = "") -> base.Manifest:
        self.resolved.append(str(reference))
        self._check_up(reference)
        image = self.images.get(str(reference))
        if image is None:
            raise errors.NotFound(f"image {reference}: registry {reference.registry}: it does not have it")
        parsed = manifests.parse(image.manifest, image.media_type)
        assert parsed.config is not None
        return base.Manifest(
            image.digest, image.digest, parsed.media_type, image.manifest, parsed.config, parsed.layers
        )

    def fetch(
        self, reference: Reference, blob: base.Descriptor, offset: int, sink: Callable[[memoryview], None]
    ) -> None:
        self.fetched.append((blob.digest, offset))
        if self.gate is not None:
            self.gate.wait(30)
        data = memoryview(self._blob(blob.digest))
        ends = self.breaks.get(blob.digest)
        end = ends.pop(0) if ends else len(data)
        for at in range(offset, end, 65536):
            sink(data[at : min(at + 65536, end)])
        if end < len(data):
            raise errors.Temporary(f"image {reference}: the connection broke", delay=0.001)

    def tags(self, repository: Reference) -> list[str]:
        self._check_up(repository)
        found = [parsed.tag for parsed in map(references.parse, self.images) if parsed.name == repository.name]
        if not found:
            raise errors.NotFound(f"repository {repository.name}: registry {repository.registry}: it does not have it")
        return sorted(found)

    def search(self, registry: str, term: str, limit: int) -> list[base.Hit]:
        names = {parsed.name for parsed in map(references.parse, self.images) if parsed.registry == registry}
        return [base.Hit(name) for name in sorted(names) if term in name.partition("/")[2]][:limit]

    def signatures(self, reference: Reference, digest: str) -> list[base.Signature]:
        self._check_up(reference)
        return self.signed.get(digest, [])

    def push_blob(
        self,
        reference: Reference,
        blob: base.Descriptor,
        content: Callable[[], Iterator[bytes]],
        elsewhere: str = "",
    ) -> base.Pushed:
        kept = self.pushed.setdefault(reference.name, {})
        if blob.digest in kept:
            return "exists"
        if blob.digest in self.pushed.get(f"{reference.registry}/{elsewhere}", {}):
            kept[blob.digest] = self.pushed[f"{reference.registry}/{elsewhere}"][blob.digest]
            return "mounted"
        if self.refuses:
            raise self.refuses.pop()
        data = b"".join(content())
        assert images.digest(data) == blob.digest
        kept[blob.digest] = data
        return "uploaded"

    def push_manifest(self, reference: Reference, raw: bytes, media_type: str) -> None:
        parsed = manifests.parse(raw, media_type)
        assert parsed.config is not None
        blobs = {blob.digest: self.pushed[reference.name][blob.digest] for blob in (parsed.config, *parsed.layers)}
        self.images[str(reference)] = images.Image(raw, media_type, blobs)

    def distrust(self, reference: Reference, digest: str) -> bool:
        return False

    def acting(self, registry: str, credentials: Credentials) -> FakeRegistry:
        return self

    def login(self, registry: str) -> None:
        return None

    def _check_up(self, reference: Reference) -> None:
        if self.down:
            raise errors.Temporary(f"image {reference}: registry {reference.registry}: it is down", delay=1.0)

    def _blob(self, digest: str) -> bytes:
        for image in self.images.values():
            if digest in image.blobs:
                return image.blobs[digest]
        raise errors.NotFound(f"blob {digest}: it does not have it")
