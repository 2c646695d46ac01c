"""Pushing by the OCI distribution specification 1.1 ("Push"): blobs that the repository lacks, then the manifest.

A blob is uploaded in one request to the address that the registry gives. That may be another host, to which the rules
for redirects apply, and which is shown no login. A blob that another repository of the registry has is mounted from
there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol
from urllib.parse import quote, urlencode

from reconciler import errors
from reconciler.drivers.registry import base, transport
from reconciler.model import references

_BINARY = {"Content-Type": "application/octet-stream"}
_NOTHING = transport.Body(0, lambda: iter(()))
#: a pause is asked for
_BUSY = frozenset((429, 503))
#: what a registry may say to somebody who may push here, but not read there
_NOT_FROM_THERE = (errors.Forbidden, errors.NotFound, errors.Permanent)


class Ask(Protocol):
    """Sends one request and returns any answer, after the registry's question who asks. ``elsewhere`` is another
    repository that the request must be allowed to read."""

    def __call__(
        self, method: str, url: str, headers: dict[str, str], body: transport.Body | None, elsewhere: str = ""
    ) -> transport.Answer: ...


class Upload:
    """To the repository ``path`` of the registry at ``registry_url``."""

    def __init__(self, ask: Ask, follow: Callable[[str, str], str], registry_url: str, path: str) -> None:
        """``follow`` judges where an address leads to from another (``transport.Transport.follow``)."""
        self._ask, self._follow = ask, follow
        self._repository = f"{registry_url}/v2/{path}"

    def blob(self, blob: base.Descriptor, body: transport.Body, elsewhere: str) -> base.Pushed:
        references.check_digest(blob.digest)
        if self._has(blob.digest):
            return "exists"
        place = self._mount(blob.digest, elsewhere) if elsewhere else self._begin("")
        if not place:
            return "mounted"
        joint = "&" if "?" in place else "?"
        with self._ask("PUT", f"{place}{joint}digest={quote(blob.digest)}", _BINARY, body) as answer:
            if answer.status not in (200, 201, 204):
                raise answer.failure()
        return "uploaded"

    def manifest(self, tag: str, raw: bytes, media_type: str) -> None:
        body = transport.Body(len(raw), lambda: iter((raw,)))
        url = f"{self._repository}/manifests/{tag}"
        with self._ask("PUT", url, {"Content-Type": media_type}, body) as answer:
            if answer.status not in (200, 201, 202, 204):
                raise answer.failure()

    def _has(self, digest: str) -> bool:
        """Whether the repository has the blob; where it does not say, it is given the blob again."""
        with self._ask("HEAD", f"{self._repository}/blobs/{digest}", {}, None) as answer:
            if answer.status in _BUSY:
                raise answer.failure()
            return answer.status == 200

    def _mount(self, digest: str, elsewhere: str) -> str:
        """Empty if the blob was mounted, or else the address to upload it to."""
        try:
            return self._begin(f"?{urlencode({'mount': digest, 'from': elsewhere})}", elsewhere)
        except _NOT_FROM_THERE:
            return self._begin("")

    def _begin(self, query: str, elsewhere: str = "") -> str:
        url = f"{self._repository}/blobs/uploads/{query}"
        with self._ask("POST", url, {}, _NOTHING, elsewhere) as answer:
            if query and answer.status == 201:
                return ""
            if answer.status != 202:
                raise answer.failure()
            location = answer.header("Location")
        if not location:
            raise errors.Permanent("it takes an upload, but does not say where to")
        return self._follow(url, location)
