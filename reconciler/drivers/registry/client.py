"""The registry client: anonymous pulls by the OCI distribution specification."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from urllib.parse import urlencode

from reconciler import errors
from reconciler.drivers.registry import addresses, answers, auth, base, deadline, manifests, transport
from reconciler.model import references
from reconciler.model.references import Reference

_MAX_INDEX_DEPTH = 4
_MAX_TOKEN_ANSWER = 256 << 10


class RegistryClient:
    """``base.Registry`` over HTTP. One object serves all registries and any number of threads."""

    def __init__(self, platform: manifests.Platform | None = None, patience: float = deadline.PATIENCE) -> None:
        self._platform = platform or manifests.host_platform(os.uname().machine)
        self._patience = patience
        self._lock = threading.Lock()
        self._transports: dict[str, transport.Transport] = {}
        self._tokens = auth.Tokens()

    def resolve(self, reference: Reference) -> base.Manifest:
        with _named(reference):
            raw, parsed, named = self._manifest(reference, reference.target)
            digest = named
            for _ in range(_MAX_INDEX_DEPTH):
                if parsed.config is not None:
                    return base.Manifest(digest, named, parsed.media_type, raw, parsed.config, parsed.layers)
                choice = manifests.choose(parsed.choices, self._platform)
                raw, parsed, digest = self._manifest(reference, choice.digest)
                if len(raw) != choice.size or parsed.media_type != choice.media_type:
                    raise errors.Permanent(f"manifest {digest} is not what the index that names it says")
            raise errors.Permanent("its index leads to other indexes without end")

    def fetch(
        self, reference: Reference, blob: base.Descriptor, offset: int, sink: Callable[[memoryview], None]
    ) -> None:
        references.check_digest(blob.digest)
        if offset >= blob.size:
            return
        with _named(reference):
            headers = {"Range": f"bytes={offset}-"} if offset else {}
            with self._get(reference, f"blobs/{blob.digest}", headers) as answer:
                _copy(answer, blob, offset, sink)

    def _manifest(self, reference: Reference, target: str) -> tuple[bytes, manifests.Parsed, str]:
        """Bytes, parsed form and digest of the manifest or index that a tag or digest means."""
        with self._get(reference, f"manifests/{target}", {"Accept": ", ".join(manifests.ACCEPTED)}) as answer:
            raw = answer.whole(manifests.MAX_MANIFEST)
            served, content_type = answer.header("Docker-Content-Digest"), answer.header("Content-Type")
        wanted = target if ":" in target else served if served.startswith("sha256:") else ""
        algorithm = wanted.partition(":")[0] or "sha256"
        digest = f"{algorithm}:{hashlib.new(algorithm, raw).hexdigest()}"
        if wanted and digest != wanted:
            raise errors.Permanent(f"its manifest does not match its digest: expected {wanted[:160]}, found {digest}")
        return raw, manifests.parse(raw, content_type), digest

    def _get(self, reference: Reference, what: str, headers: dict[str, str]) -> transport.Answer:
        """A good answer to a GET below the repository, with a token where the registry asks for one."""
        over = self._transport(reference)
        url = f"{over.url}/v2/{reference.path}/{what}"
        answer = over.get(url, headers, self._tokens.get(reference.name))
        if answer.status == 401:
            challenge = answer.header("WWW-Authenticate")
            answer.close()
            answer = over.get(url, headers, self._new_token(over, reference, challenge))
        if answer.status in (200, 206):
            return answer
        with answer:
            raise _failure(answer)

    def _new_token(self, over: transport.Transport, reference: Reference, header: str) -> str:
        challenge = auth.parse_challenge(header)
        realm = addresses.follow(over.url, over.url, challenge.realm)
        query = urlencode({"service": challenge.service, "scope": f"repository:{reference.path}:pull"})
        with over.get(f"{realm}{'&' if '?' in realm else '?'}{query}", {}) as answer:
            if answer.status != 200:
                raise _failure(answer)
            token, life = auth.parse_token(answer.whole(_MAX_TOKEN_ANSWER))
        self._tokens.put(reference.name, token, life)
        return token

    def _transport(self, reference: Reference) -> transport.Transport:
        with self._lock:
            found = self._transports.get(reference.registry)
            if found is None:
                found = transport.Transport(addresses.endpoint(reference.registry), self._patience)
                self._transports[reference.registry] = found
            return found


def _failure(answer: transport.Answer) -> errors.PydockError:
    try:
        body = answer.whole(answers.MAX_WORDS)
    except errors.PydockError:
        body = b""
    return answers.failure(answer.status, answer.header("Retry-After"), body)


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


@contextlib.contextmanager
def _named(reference: Reference) -> Iterator[None]:
    """Puts the reference and its registry in front of what went wrong."""
    try:
        yield
    except errors.PydockError as error:
        error.args = (f"image {reference}: registry {reference.registry}: {error.message}",)
        raise
