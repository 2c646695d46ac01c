"""Mirrors: other registries that are asked first. A mirror that fails costs a line in the log, and not the pull.

A mirror is asked for the same path. It is believed when it says which digest a tag means; everything named by a digest
is verified. A mirror is shown no other registry's login.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec

from reconciler import errors
from reconciler.drivers.registry import base, client, deadline, hosts, manifests
from reconciler.model.references import Reference

log = logging.getLogger("pydock.registry")

T = TypeVar("T")

#: seconds for which a mirror that could not be reached, or was busy, is left alone, unless it asks for more
_REST = 30.0
#: seconds for which a mirror that sent other bytes than a digest means is not asked for it
_DISTRUST = 3600.0
_MANY = 10_000


class MirroredClient(client.RegistryClient):
    """The client, which asks the mirrors of a registry first. Pushes, lists and logins go to the registry alone."""

    def __init__(
        self,
        configured: hosts.Hosts,
        platform: manifests.Platform | None = None,
        patience: float = deadline.PATIENCE,
    ) -> None:
        super().__init__(platform, patience, configured)
        self._configured = configured
        self._record = _Record()

    def head(self, reference: Reference) -> str:
        return self._first(reference, super().head)

    def resolve(self, reference: Reference, platform: str = "") -> base.Manifest:
        ask = super().resolve
        return self._first(reference, lambda at: ask(at, platform))

    def signatures(self, reference: Reference, digest: str) -> list[base.Signature]:
        """Those of the mirrors and of the registry: a mirror that lacks one is no reason to refuse an image."""
        found: list[base.Signature] = []
        for mirror in self._useful(reference):
            try:
                found += super().signatures(_at(mirror, reference), digest)
            except errors.PydockError as error:
                self._note(reference, mirror, error, [])
        try:
            return found + super().signatures(reference, digest)
        except errors.PydockError:
            if found:
                return found
            raise

    def _first(self, reference: Reference, ask: Callable[[Reference], T]) -> T:
        """The answer of the first mirror that has one, or else of the registry."""
        failures: list[str] = []
        for mirror in self._useful(reference):
            try:
                return ask(_at(mirror, reference))
            except errors.PydockError as error:
                self._note(reference, mirror, error, failures)
        with _told(failures):
            return ask(reference)

    def fetch(
        self, reference: Reference, blob: base.Descriptor, offset: int, sink: Callable[[memoryview], None]
    ) -> None:
        failures: list[str] = []
        taken = _Counted(sink, offset)
        if not offset:
            self._record.forget(blob.digest)
        for mirror in self._useful(reference, blob.digest):
            before = taken.offset
            try:
                super().fetch(_at(mirror, reference), blob, before, taken)
                return
            except errors.PydockError as error:
                if taken.refused:
                    raise
                self._note(reference, mirror, error, failures)
            finally:
                if taken.offset > before:
                    self._record.gave(mirror, blob.digest)
        with _told(failures):
            super().fetch(reference, blob, taken.offset, taken)

    def distrust(self, reference: Reference, digest: str) -> bool:
        mirror = self._record.distrust(digest)
        if mirror:
            log.warning("image %s: mirror %s had a part in bytes that are not %s: beginning anew without it", reference,
                        mirror, digest)  # fmt: skip
        return bool(mirror)

    def _useful(self, reference: Reference, digest: str = "") -> Iterator[str]:
        """The mirrors to ask now."""
        for mirror in self._configured.mirrors(reference.registry):
            if self._record.useful(mirror, digest):
                yield mirror

    def _note(self, reference: Reference, mirror: str, error: errors.PydockError, failures: list[str]) -> None:
        if isinstance(error, errors.Temporary):
            self._record.rest(mirror, max(error.delay, _REST))
        why = error.message.removeprefix(f"image {_at(mirror, reference)}: registry {mirror}: ")
        failures.append(f"mirror {mirror}: {why}")
        log.warning("image %s: mirror %s: %s: asking the next", reference, mirror, why)


class _Record:
    """How mirrors have behaved. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: mirror, and digest or empty → CLOCK_MONOTONIC seconds until when it is not asked
        self._shunned: dict[tuple[str, str], float] = {}
        #: digest → who has brought bytes of it, in order
        self._givers: dict[str, list[str]] = {}

    def useful(self, mirror: str, digest: str) -> bool:
        now = time.monotonic()
        with self._lock:
            return all(self._shunned.get((mirror, what), 0.0) <= now for what in ("", digest))

    def rest(self, mirror: str, seconds: float) -> None:
        self._shun(mirror, "", seconds)

    def forget(self, digest: str) -> None:
        """Forgets who has brought bytes of it: somebody begins to fetch it anew."""
        with self._lock:
            self._givers.pop(digest, None)

    def gave(self, mirror: str, digest: str) -> None:
        with self._lock:
            if len(self._givers) > _MANY:
                self._givers.clear()
            self._givers.setdefault(digest, []).append(mirror)

    def distrust(self, digest: str) -> str:
        """Stops asking one mirror for ``digest``, and returns it; empty if no mirror has brought bytes of it. Of
        several the wrong one is not known: the first is left out, and the others get their turn."""
        with self._lock:
            mirror = self._givers.pop(digest, [""])[0]
        if mirror:
            self._shun(mirror, digest, _DISTRUST)
        return mirror

    def _shun(self, mirror: str, digest: str, seconds: float) -> None:
        now = time.monotonic()
        with self._lock:
            self._shunned = {what: until for what, until in self._shunned.items() if until > now}
            self._shunned[mirror, digest] = now + seconds


class _Counted:
    """A sink that knows its offset, and whether a transfer failed because of the sink itself."""

    def __init__(self, sink: Callable[[memoryview], None], offset: int) -> None:
        self._sink, self.offset = sink, offset
        self.refused = False

    def __call__(self, data: memoryview) -> None:
        try:
            self._sink(data)
        except BaseException:
            self.refused = True
            raise
        self.offset += len(data)


class _told:
    """Adds the failures of the mirrors to the message of the registry's failure."""

    def __init__(self, failures: list[str]) -> None:
        self._failures = failures

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if isinstance(error, errors.PydockError) and self._failures:
            error.args = (f"{error.message} ({'; '.join(self._failures)})",)


def _at(mirror: str, reference: Reference) -> Reference:
    return msgspec.structs.replace(reference, registry=mirror)
