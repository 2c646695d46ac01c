"""The registry client: pulls and pushes by the OCI distribution specification, anonymous or with a login."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from urllib.parse import urlencode

from reconciler import errors
from reconciler.drivers.registry import (
    addresses,
    auth,
    base,
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

_MAX_TOKEN_ANSWER = 256 << 10


class RegistryClient:
    """``base.Registry`` over HTTP. One object serves all registries and any number of threads."""

    def __init__(
        self,
        platform: manifests.Platform | None = None,
        patience: float = deadline.PATIENCE,
        configured: hosts.Hosts | None = None,
    ) -> None:
        self._platform = platform or manifests.host_platform(os.uname().machine)
        self._transports = _Transports(patience, configured or hosts.Hosts())
        self._answers = auth.Answers()
        self._login: tuple[str, Credentials] | None = None

    def acting(self, registry: str, credentials: Credentials) -> RegistryClient:
        view = copy.copy(self)
        view._answers = auth.Answers()
        view._login = (registry, credentials)
        return view

    def login(self, registry: str) -> None:
        with self._named(registry, f"registry {registry}"):
            over = self._transports.of(registry)
            self._get(registry, f"{over.url}/v2/", {}, "").close()

    def head(self, reference: Reference) -> str:
        with self._named(reference.registry, f"image {reference}: registry {reference.registry}"):
            asked = f"manifests/{reference.target}", {"Accept": ", ".join(manifests.ACCEPTED)}
            with self._below(reference, *asked, method="HEAD") as answer:
                served = answer.header("Docker-Content-Digest")
            try:
                return references.check_digest(served)
            except errors.Invalid:
                # it need not say (distribution spec, "Checking if content exists in the registry")
                return self._manifest(reference, reference.target)[2]

    def resolve(self, reference: Reference, platform: str = "") -> base.Manifest:
        wanted = manifests.parse_platform(platform) if platform else self._platform
        with self._named(reference.registry, f"image {reference}: registry {reference.registry}"):
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
        with self._named(reference.registry, f"image {reference}: registry {reference.registry}"):
            headers = {"Range": f"bytes={offset}-"} if offset else {}
            with self._below(reference, f"blobs/{blob.digest}", headers) as answer:
                _copy(answer, blob, offset, sink)

    def tags(self, repository: Reference) -> list[str]:
        registry, scope = repository.registry, f"repository:{repository.path}:pull"
        with self._named(registry, f"repository {repository.name}: registry {registry}"):
            url = self._transports.of(registry).url
            return listing.tags(lambda page: self._get(registry, page, {}, scope), url, repository.path)

    def search(self, registry: str, term: str, limit: int) -> list[base.Hit]:
        with self._named(registry, f"registry {registry}"):
            at = addresses.SEARCHED_AT.get(registry, registry)
            url = self._transports.of(at).url
            try:
                return listing.search(lambda page: self._get(at, page, {}, ""), url, registry, term, limit)
            except (errors.NotFound, errors.Permanent) as error:
                if at != registry:
                    raise
                return self._catalogue(registry, term, limit, error)

    def signatures(self, reference: Reference, digest: str) -> list[base.Signature]:
        with self._named(reference.registry, f"image {reference}: registry {reference.registry}"):
            try:
                with self._below(
                    reference, f"manifests/{signatures.tag(digest)}", {"Accept": manifests.OCI_MANIFEST}
                ) as answer:
                    offers = signatures.offers(answer.whole(manifests.MAX_MANIFEST))
                return [base.Signature(self._small(reference, offer.blob), offer.signature) for offer in offers]
            except errors.NotFound:
                return []

    def _small(self, reference: Reference, blob: base.Descriptor) -> bytes:
        """A blob as a whole, verified."""
        references.check_digest(blob.digest)
        with self._below(reference, f"blobs/{blob.digest}", {}) as answer:
            raw = answer.whole(blob.size)
        if f"{(name := blob.digest.partition(':')[0])}:{hashlib.new(name, raw).hexdigest()}" != blob.digest:
            raise errors.Permanent(f"what it sent for {blob.digest} is something else")
        return raw

    def _catalogue(self, registry: str, term: str, limit: int, before: errors.PydockError) -> list[base.Hit]:
        """Of a registry without a search of its own."""
        url, scope = self._transports.of(registry).url, "registry:catalog:*"
        try:
            return listing.catalogue(lambda page: self._get(registry, page, {}, scope), url, registry, term, limit)
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
        with self._named(reference.registry, f"image {reference}: registry {reference.registry}"):
            return self._upload(reference).blob(blob, transport.Body(blob.size, content), elsewhere)

    def push_manifest(self, reference: Reference, raw: bytes, media_type: str) -> None:
        with self._named(reference.registry, f"image {reference}: registry {reference.registry}"):
            self._upload(reference).manifest(reference.tag, raw, media_type)

    def _upload(self, reference: Reference) -> push.Upload:
        def ask(
            method: str, url: str, headers: dict[str, str], body: transport.Body | None, elsewhere: str = ""
        ) -> transport.Answer:
            scope = f"repository:{reference.path}:pull,push"
            scope += f" repository:{elsewhere}:pull" if elsewhere else ""
            return self._ask(method, reference.registry, url, headers, scope, body)

        return push.Upload(ask, self._transports.of(reference.registry).url, reference.path)

    def distrust(self, reference: Reference, digest: str) -> bool:
        return False

    def _manifest(self, reference: Reference, target: str) -> tuple[bytes, manifests.Parsed, str]:
        """Bytes, parsed form and digest of the manifest or index that a tag or digest means."""
        with self._below(reference, f"manifests/{target}", {"Accept": ", ".join(manifests.ACCEPTED)}) as answer:
            raw = answer.whole(manifests.MAX_MANIFEST)
            served, content_type = answer.header("Docker-Content-Digest"), answer.header("Content-Type")
        wanted = target if ":" in target else served if served.startswith("sha256:") else ""
        algorithm = wanted.partition(":")[0] or "sha256"
        digest = f"{algorithm}:{hashlib.new(algorithm, raw).hexdigest()}"
        if wanted and digest != wanted:
            raise errors.Permanent(f"its manifest does not match its digest: expected {wanted[:160]}, found {digest}")
        return raw, manifests.parse(raw, content_type), digest

    def _below(self, reference: Reference, what: str, headers: dict[str, str], method: str = "GET") -> transport.Answer:
        """A good answer from below the repository."""
        url = f"{self._transports.of(reference.registry).url}/v2/{reference.path}/{what}"
        return self._get(reference.registry, url, headers, f"repository:{reference.path}:pull", method)

    def _get(
        self, registry: str, url: str, headers: dict[str, str], scope: str, method: str = "GET"
    ) -> transport.Answer:
        """A good answer, with a token or password where the registry asks for one.

        What was accepted before is tried first; once it is refused, it is had anew."""
        answer = self._ask(method, registry, url, headers, scope)
        if answer.status in (200, 206):
            return answer
        with answer:
            raise answer.failure()

    def _ask(
        self,
        method: str,
        registry: str,
        url: str,
        headers: dict[str, str],
        scope: str,
        body: transport.Body | None = None,
    ) -> transport.Answer:
        """Any answer but the question who asks. With a body no redirect is followed."""
        over = self._transports.of(registry)

        def once(proof: str) -> transport.Answer:
            if body is None:
                return over.get(url, headers, proof, method)
            return over.send(method, url, headers, proof, body)

        own = over.owns(url)
        kept = self._answers.get(f"{registry} {scope}") if own else ""
        answer = once(kept)
        if answer.status != 401:
            return answer
        self._answers.drop(f"{registry} {scope}", kept)
        answer.close()
        if not (own and answer.asked):
            raise errors.Permanent("it sent us to another host, which asks for a login: no other host is given one")
        return once(self._authorize(registry, scope, answer.header("WWW-Authenticate")))

    def _authorize(self, registry: str, scope: str, header: str) -> str:
        """The Authorization header that answers the registry's challenge."""
        challenge = auth.parse_challenge(header)
        credentials = self._credentials(registry)
        if challenge.scheme == "bearer":
            token, life = self._token(self._transports.of(registry), challenge, scope, credentials)
            made = f"Bearer {token}"
        elif credentials is not None:
            made, life = f"Basic {credentials.basic()}", auth.FOREVER
        else:
            raise errors.LoginNeeded("it asks for a login")
        self._answers.put(f"{registry} {scope}", made, life)
        return made

    def _token(
        self, over: transport.Transport, challenge: auth.Challenge, scope: str, credentials: Credentials | None
    ) -> tuple[str, float]:
        """A new token with its life in seconds. The realm may be another host, but is told the password over TLS
        only."""
        realm = addresses.follow(over.url, over.url, challenge.realm)
        query = urlencode([("service", challenge.service), *(("scope", each) for each in scope.split())])
        proof = f"Basic {credentials.basic()}" if credentials is not None else ""
        with over.get(f"{realm}{'&' if '?' in realm else '?'}{query}", {}, proof) as answer:
            if answer.status != 200:
                raise answer.failure()
            return auth.parse_token(answer.whole(_MAX_TOKEN_ANSWER))

    def _credentials(self, registry: str) -> Credentials | None:
        return self._login[1] if self._login is not None and self._login[0] == registry else None

    @contextlib.contextmanager
    def _named(self, registry: str, subject: str) -> Iterator[None]:
        """Puts what it is about in front of what went wrong, and takes out what only we and the registry may know."""
        try:
            yield
        except errors.PydockError as error:
            message = self._redacted(registry, error.message)
            if isinstance(error, errors.LoginNeeded):
                message += f": {self._advice(registry)}"
            error.args = (f"{subject}: {message}",)
            raise

    def _advice(self, registry: str) -> str:
        if self._credentials(registry) is None:
            return f"if it exists, it needs a login: pydock login {registry}"
        return f"the login is wrong, or has no right to this: pydock login {registry}"

    def _redacted(self, registry: str, message: str) -> str:
        """A registry's own words may repeat what it was sent."""
        credentials = self._credentials(registry)
        secrets = self._answers.secrets()
        if credentials is not None:
            secrets += [credentials.basic(), credentials.password]
        for secret in secrets:
            message = message.replace(secret, "(hidden)")
        return message


class _Transports:
    """One for each registry, made when first needed, and anew when its files of TLS have changed. Safe for threads."""

    def __init__(self, patience: float, configured: hosts.Hosts) -> None:
        self._patience, self._configured = patience, configured
        self._lock = threading.Lock()
        self._made: dict[str, tuple[hosts.Place, transport.Transport]] = {}

    def of(self, registry: str) -> transport.Transport:
        place = self._configured.place(registry)
        with self._lock:
            former, found = self._made.get(registry, (None, None))
            if found is None or former != place:
                found = transport.Transport(place.url, self._patience, place.files)
                self._made[registry] = place, found
            return found


def _copy(answer: transport.Answer, blob: base.Descriptor, offset: int, sink: Callable[[memoryview], None]) -> None:
    """Hands the bytes from ``offset`` on to ``sink``, no more and no fewer than the blob has."""
    skip = _skipped(answer, offset)
    left = blob.size - offset
    length = answer.header("Content-Length")
    if length.isdigit() and int(length) != left + skip:
        raise errors.Permanent(f"it announces {length} bytes for {blob.digest}, where the manifest says {left + skip}")
    for piece in answer.pieces():
        view = memoryview(piece)[skip:]
        skip -= len(piece) - len(view)
        if len(view) > left:
            raise errors.Permanent(f"it sends more than the {blob.size} bytes that {blob.digest} has")
        left -= len(view)
        if view:
            sink(view)
    if left:
        raise errors.Temporary(f"it ended {left} bytes before the end of {blob.digest}", delay=1.0)


def _skipped(answer: transport.Answer, offset: int) -> int:
    """How many bytes of the answer are had already: all of them up to ``offset`` where Range was ignored."""
    if answer.status == 200:
        return offset
    if not answer.header("Content-Range").startswith(f"bytes {offset}-"):
        raise errors.Permanent("it sent another part of the blob than was asked for")
    return 0
