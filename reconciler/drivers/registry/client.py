"""The registry client: pulls and pushes by the OCI distribution specification, anonymous or with a login."""

from __future__ import annotations

import copy
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial

from reconciler import errors
from reconciler.drivers.registry import (
    access,
    addresses,
    base,
    blobs,
    deadline,
    hosts,
    listing,
    manifests,
    push,
    signatures,
    transport,
)
from reconciler.model import references
from reconciler.model.credentials import Credentials
from reconciler.model.references import Reference

_MANIFESTS = {"Accept": ", ".join(manifests.ACCEPTED)}
_TOO_MANY_REQUESTS = 429


class RegistryClient:
    """``base.Registry`` over HTTP. One object serves all registries and any number of threads."""

    def __init__(
        self,
        platform: manifests.Platform | None = None,
        patience: float = deadline.PATIENCE,
        configured: hosts.Hosts | None = None,
    ) -> None:
        self._platform = platform or manifests.host_platform(os.uname().machine)
        self._access = access.Access(patience, configured or hosts.Hosts())

    def acting(self, registry: str, credentials: Credentials) -> RegistryClient:
        view = copy.copy(self)
        view._access = self._access.acting(registry, credentials)
        return view

    def login(self, registry: str) -> None:
        with self._access.named(registry, f"registry {registry}"):
            self._access.get(registry, f"{self._access.url(registry)}/v2/", {}, "").close()

    def head(self, reference: Reference) -> str:
        with self._named(reference):
            digest = self._digest_by_head(reference)
            return digest or self._manifest(reference, reference.target)[2]

    def _digest_by_head(self, reference: Reference) -> str:
        """Empty where the registry does not say: it need not (distribution spec, "Checking if content exists in the
        registry"), and some have an error in place of an answer to HEAD."""
        with self._below(reference, f"manifests/{reference.target}", _MANIFESTS, "HEAD") as answer:
            if answer.status == _TOO_MANY_REQUESTS:
                raise answer.failure()
            return _valid(answer.header("Docker-Content-Digest")) if answer.status == 200 else ""

    def resolve(self, reference: Reference, platform: str = "") -> base.Manifest:
        wanted = manifests.parse_platform(platform) if platform else self._platform
        with self._named(reference):
            raw, parsed, named = self._manifest(reference, reference.target)
            digest = named
            for _ in range(manifests.MAX_DEPTH):
                if parsed.config is not None:
                    return base.Manifest(digest, named, parsed.media_type, raw, parsed.config, parsed.layers)
                choice = manifests.choose(parsed.choices, wanted)
                raw, parsed, digest = self._manifest(reference, choice.digest)
                if len(raw) != choice.size or not manifests.is_called(choice, parsed.media_type):
                    raise errors.Permanent(f"manifest {digest} is not what the index that names it says")
            raise errors.Permanent("its index leads to other indexes without end")

    def fetch(
        self, reference: Reference, blob: base.Descriptor, offset: int, sink: Callable[[memoryview], None]
    ) -> None:
        references.check_digest(blob.digest)
        if offset >= blob.size:
            return
        with self._named(reference):
            blobs.fetch(lambda headers: self._below(reference, f"blobs/{blob.digest}", headers), blob, offset, sink)

    def tags(self, repository: Reference) -> list[str]:
        registry, scope = repository.registry, f"repository:{repository.path}:pull"
        with self._access.named(registry, f"repository {repository.name}: registry {registry}"):
            url = self._access.url(registry)
            return listing.tags(lambda page: self._access.get(registry, page, {}, scope), url, repository.path)

    def search(self, registry: str, term: str, limit: int) -> list[base.Hit]:
        with self._access.named(registry, f"registry {registry}"):
            at = addresses.SEARCHED_AT.get(registry, registry)
            url = self._access.url(at)
            try:
                return listing.search(lambda page: self._access.get(at, page, {}, ""), url, registry, term, limit)
            except (errors.NotFound, errors.Permanent) as error:
                if at != registry:
                    raise
                return self._catalogue(registry, term, limit, error)

    def signatures(self, reference: Reference, digest: str) -> list[base.Signature]:
        with self._named(reference):
            try:
                what = f"manifests/{signatures.tag(digest)}"
                with self._good(reference, what, {"Accept": manifests.OCI_MANIFEST}) as answer:
                    offers = signatures.offers(answer.whole(manifests.MAX_MANIFEST))
                return [base.Signature(self._small(reference, offer.blob), offer.signature) for offer in offers]
            except errors.NotFound:
                return []

    def _small(self, reference: Reference, blob: base.Descriptor) -> bytes:
        """A blob as a whole, verified."""
        references.check_digest(blob.digest)
        with self._good(reference, f"blobs/{blob.digest}", {}) as answer:
            raw = answer.whole(blob.size)
        if f"{(name := blob.digest.partition(':')[0])}:{hashlib.new(name, raw).hexdigest()}" != blob.digest:
            raise errors.Permanent(f"what it sent for {blob.digest} is something else")
        return raw

    def _catalogue(self, registry: str, term: str, limit: int, before: errors.PydockError) -> list[base.Hit]:
        """Of a registry without a search of its own."""
        url, scope = self._access.url(registry), "registry:catalog:*"
        try:
            return listing.catalogue(
                lambda page: self._access.get(registry, page, {}, scope), url, registry, term, limit
            )
        except (errors.NotFound, errors.Permanent) as error:
            raise errors.Permanent(
                f"it offers no search ({before.message}), and does not tell the names that it has ({error.message}): "
                "the tags of a repository that you know are shown by 'pydock search --list-tags'"
            ) from None

    def push_blob(
        self,
        reference: Reference,
        blob: base.Descriptor,
        content: Callable[[], Iterator[bytes]],
        elsewhere: str = "",
    ) -> base.Pushed:
        with self._named(reference):
            return self._upload(reference).blob(blob, transport.Body(blob.size, content), elsewhere)

    def push_manifest(self, reference: Reference, raw: bytes, media_type: str) -> None:
        with self._named(reference):
            self._upload(reference).manifest(reference.tag, raw, media_type)

    def _upload(self, reference: Reference) -> push.Upload:
        def ask(
            method: str, url: str, headers: dict[str, str], body: transport.Body | None, elsewhere: str = ""
        ) -> transport.Answer:
            scope = f"repository:{reference.path}:pull,push"
            scope += f" repository:{elsewhere}:pull" if elsewhere else ""
            return self._access.ask(method, reference.registry, url, headers, scope, body)

        url = self._access.url(reference.registry)
        return push.Upload(ask, partial(self._access.follow, reference.registry), url, reference.path)

    def distrust(self, reference: Reference, digest: str) -> bool:
        return False

    def _manifest(self, reference: Reference, target: str) -> tuple[bytes, manifests.Parsed, str]:
        """Bytes, parsed form and digest of the manifest or index that a tag or digest means."""
        with self._good(reference, f"manifests/{target}", _MANIFESTS) as answer:
            raw = answer.whole(manifests.MAX_MANIFEST)
            served, content_type = _valid(answer.header("Docker-Content-Digest")), answer.header("Content-Type")
        wanted = target if ":" in target else served
        algorithm = wanted.partition(":")[0] or "sha256"
        digest = f"{algorithm}:{hashlib.new(algorithm, raw).hexdigest()}"
        if wanted and digest != wanted:
            raise errors.Permanent(f"its manifest does not match its digest: expected {wanted[:160]}, found {digest}")
        return raw, manifests.parse(raw, content_type), digest

    def _good(self, reference: Reference, what: str, headers: dict[str, str]) -> transport.Answer:
        """A good answer from below the repository; raises the error that another one means."""
        answer = self._below(reference, what, headers)
        if answer.status == 200:
            return answer
        with answer:
            raise answer.failure()

    def _below(self, reference: Reference, what: str, headers: dict[str, str], method: str = "GET") -> transport.Answer:
        """Any answer from below the repository."""
        url = f"{self._access.url(reference.registry)}/v2/{reference.path}/{what}"
        return self._access.ask(method, reference.registry, url, headers, f"repository:{reference.path}:pull")

    def _named(self, reference: Reference) -> AbstractContextManager[None]:
        return self._access.named(reference.registry, f"image {reference}: registry {reference.registry}")


def _valid(digest: str) -> str:
    """``digest`` if it is one, else empty."""
    try:
        return references.check_digest(digest)
    except errors.Invalid:
        return ""
