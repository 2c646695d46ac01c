"""Whether what is kept on disk is what it says it is: blobs against their digests, layers against what their blobs
unpack to, and both against what the database counts on. What is damaged can be had anew from where it came.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import msgspec

from reconciler import errors
from reconciler.drivers.graph import chains
from reconciler.drivers.registry import base as registries
from reconciler.drivers.registry import manifests
from reconciler.images import image_config, pulling, registry_access, strays, usage
from reconciler.images.caller import Caller
from reconciler.images.service import ImageService
from reconciler.model import references
from reconciler.model.view import ImageFacts


class Finding(msgspec.Struct, frozen=True):
    """``what`` is ``blob`` or ``layer``; ``images`` and ``containers`` are whom it serves; ``outcome`` is ``damaged``,
    ``repaired``, or why it could not be."""

    what: str
    name: str
    problem: str
    images: list[str]
    containers: list[str]
    outcome: str


class Summary(msgspec.Struct):
    """Counts. ``unchecked`` are layers whose blob is not kept, or that stand on a damaged one."""

    blobs: int = 0
    layers: int = 0
    unchecked: int = 0
    damaged: int = 0
    repaired: int = 0
    leftovers: int = 0
    unfinished: int = 0


class _Known(NamedTuple):
    """What the database counts on, by digest of images."""

    facts: dict[str, list[ImageFacts]]
    chains: dict[str, list[str]]
    blobs: dict[str, list[str]]
    using: usage.Users


def run(service: ImageService, caller: Caller, report: Callable[[Finding], None], *, repair: bool) -> Summary:
    """Looks at everything, lower layers first. Raises ``Temporary`` when the daemon ends meanwhile."""
    return _Check(service, caller, report, repair).run()


class _Check:
    def __init__(self, service: ImageService, caller: Caller, report: Callable[[Finding], None], repair: bool) -> None:
        self._service, self._caller, self._report, self._repair = service, caller, report, repair
        self._known = _known(service)
        self._summary = Summary()
        #: blobs that are as they should be
        self._whole: set[str] = set()
        #: layer → whether it is as it should be; None: nobody knows
        self._layers: dict[str, bool | None] = {}

    def run(self) -> Summary:
        begun = set(self._service.graph.unfinished())
        for digest in self._known.facts:
            self._blobs(digest)
        for digest in self._known.facts:
            self._stack(digest)
        left = strays.find(self._service)
        self._summary.leftovers = len(left.blobs) + len(left.layers) + len(left.snapshots)
        if not self._service.leftovers.busy:
            self._summary.unfinished = len(begun & set(self._service.graph.unfinished()))
        return self._summary

    def _blobs(self, digest: str) -> None:
        """The manifest first: it tells of the others."""
        for blob in sorted(self._known.blobs.get(digest, ()), key=lambda each: each != digest):
            if blob in self._whole:
                continue
            self._go_on()
            self._summary.blobs += 1
            problem = self._service.graph.check_blob(blob)
            if not problem or self._found("blob", blob, problem, partial(self._fetch, blob)):
                self._whole.add(blob)

    def _stack(self, digest: str) -> None:
        below: bool | None = True
        packed = self._packed(digest)
        for place, chain in enumerate(self._known.chains.get(digest, ())):
            if chain not in self._layers:
                blob = packed[place] if place < len(packed) else ""
                self._layers[chain] = self._layer(digest, place, chain, blob) if below else None
                self._summary.layers += 1
                self._summary.unchecked += self._layers[chain] is None
            below = self._layers[chain]

    def _layer(self, digest: str, place: int, chain: str, blob: str) -> bool | None:
        self._go_on()
        graph = self._service.graph
        if not graph.has_layer(chain):
            return self._found("layer", chain, "it is missing", lambda: self._unpack(digest, place, blob))
        if blob not in self._whole:
            return None  # it came in another packing, or is damaged itself
        try:
            problems = graph.check_layer(chain, blob)
        except errors.NotFound:
            return None  # removed meanwhile
        except errors.Permanent as error:
            problems = [error.message]
        return not problems or self._found("layer", chain, "; ".join(problems), lambda: self._renew(chain, blob))

    def _packed(self, digest: str) -> list[str]:
        """The blobs of an image's layers, bottom first."""
        return list(self._known.facts[digest][0].layers)

    def _found(self, what: str, name: str, problem: str, mend: Callable[[], None]) -> bool:
        """Tells of damage, and mends it if that is asked for; whether it is as it should be now."""
        if not self._needed(name):
            return False  # it has gone with its image meanwhile
        self._summary.damaged += 1
        outcome = self._mended(mend) if self._repair else "damaged"
        self._summary.repaired += outcome == "repaired"
        serves = [each for each in self._known.facts if name in self._parts_of(each)]
        facts = [one for each in serves for one in self._known.facts[each]]
        users = sorted({str(key) for one in facts for key in self._known.using.of(one)})
        self._report(Finding(what, name, problem, sorted(one.reference for one in facts), users, outcome))
        return outcome == "repaired"

    def _parts_of(self, digest: str) -> list[str]:
        return [*self._known.blobs.get(digest, ()), *self._known.chains.get(digest, ())]

    def _needed(self, name: str) -> bool:
        with self._service.store.snapshot() as session:
            blobs, layers = session.images.needed()
        return name in blobs or name in layers

    def _mended(self, mend: Callable[[], None]) -> str:
        with self._service.leftovers.kept():
            try:
                mend()
            except errors.PydockError as error:
                return error.message
        return "repaired"

    def _fetch(self, blob: str) -> None:
        """A blob, from where one of the images that have it came."""
        failures: list[str] = []
        for each in self._known.facts:
            if blob not in self._known.blobs.get(each, ()):
                continue
            for facts in filter(usage.tagged, self._known.facts[each]):
                with _noted(failures):
                    self._fetch_from(facts, blob)
                    return
        raise errors.Permanent(
            "; ".join(failures) or "it cannot be had again: its image has no name, so nobody knows where it came from"
        )

    def _fetch_from(self, facts: ImageFacts, blob: str) -> None:
        reference = references.parse(facts.reference)
        exact = msgspec.structs.replace(reference, tag="", digest=facts.digest)
        graph = self._service.graph
        with registry_access.acting(self._service, reference, None, own=True) as registry:
            if blob == facts.digest:
                raw = registry.resolve(exact).raw
                writer = graph.write_blob(blob, len(raw))
                try:
                    writer.write(raw)
                    writer.commit()
                finally:
                    writer.abort()
                return
            wanted = _descriptor(graph.read_blob(facts.digest, manifests.MAX_MANIFEST), blob)
            pulling.fetch(exact, wanted, registry, graph, self._caller.stopping, again=True)

    def _unpack(self, digest: str, place: int, blob: str) -> None:
        """A layer that is not here."""
        graph = self._service.graph
        if blob not in self._whole:
            self._fetch(blob)
        raw = graph.read_blob(self._known.facts[digest][0].image_id, image_config.MAX_BYTES)
        diff_ids = image_config.parse(raw, len(self._packed(digest))).diff_ids
        chain = chains.chain(diff_ids)
        graph.unpack_layer(chain[place], chain[place - 1] if place else "", diff_ids[place], blob)
        graph.settle_layer(chain[place])

    def _renew(self, chain: str, blob: str) -> None:
        try:
            self._service.graph_driver.renew_layer(chain, blob)
        except errors.Conflict as error:
            raise errors.Conflict(
                f"{error.message}: stop the containers that run on it ('pydock stop'), and check again"
            ) from None

    def _go_on(self) -> None:
        if self._caller.stopping.is_set():
            raise errors.Temporary("the check was given up: pydockd is shutting down")
        if self._caller.gone():
            raise errors.Temporary("the check was given up: nobody waits for it any more")


def _known(service: ImageService) -> _Known:
    with service.store.snapshot() as session:
        facts: dict[str, list[ImageFacts]] = {}
        for each in session.images.all():
            facts.setdefault(each.digest, []).append(each)
        return _Known(facts, session.relations.chains(), session.relations.blobs(), usage.users(session))


def _descriptor(manifest: bytes, digest: str) -> registries.Descriptor:
    parsed = manifests.parse(manifest, "")
    for each in (parsed.config, *parsed.layers):
        if each is not None and each.digest == digest:
            return each
    raise errors.NotFound(f"the image's manifest does not name {digest}")


@contextlib.contextmanager
def _noted(failures: list[str]) -> Iterator[None]:
    try:
        yield
    except errors.PydockError as error:
        failures.append(error.message)
