"""What images take on disk: of their own, together with others, and what would be free without some of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Literal

from reconciler import errors
from reconciler.images.service import ImageService

log = logging.getLogger("pydock.images")


class Shares:
    """Which image has which parts. ``parts`` maps an image's digest to layers (chain ids) or to blobs; ``sizes`` are
    the parts' bytes, and what is not in it is not on disk."""

    def __init__(self, parts: Mapping[str, Iterable[str]], sizes: Mapping[str, int]) -> None:
        self._parts = {digest: frozenset(names) for digest, names in parts.items()}
        self._sizes = sizes
        self._images: dict[str, set[str]] = {}
        for digest, names in self._parts.items():
            for name in names:
                self._images.setdefault(name, set()).add(digest)

    def own(self, digest: str) -> int:
        """Bytes of what no other image has."""
        return self.freed((digest,))

    def shared(self, digest: str) -> int:
        """Bytes of what another image has too."""
        return sum(self._sizes.get(name, 0) for name in self._parts.get(digest, ())) - self.own(digest)

    def freed(self, digests: Collection[str]) -> int:
        """Bytes that go when all these images go: a part that two of them share is counted once, and one that any
        other image has not at all."""
        going = set(digests)
        names = {name for digest in going for name in self._parts.get(digest, ())}
        return sum(self._sizes.get(name, 0) for name in names if self._images[name] <= going)

    def freeing(self, digests: Iterable[str]) -> Iterator[int]:
        """Bytes that are free after each of these images has gone, one after another."""
        left = {name: len(images) for name, images in self._images.items()}
        total = 0
        for digest in digests:
            for name in self._parts.get(digest, ()):
                left[name] -= 1
                total += 0 if left[name] else self._sizes.get(name, 0)
            yield total

    def size(self, name: str) -> int:
        """Bytes of a layer or blob; 0 for what is not on disk."""
        return self._sizes.get(name, 0)

    def total(self) -> int:
        """Bytes of all."""
        return sum(self._sizes.get(name, 0) for name in self._images)


def layers(service: ImageService) -> Shares:
    """The unpacked layers. What was not measured yet is read from the graph once, and kept."""
    with service.store.snapshot() as session:
        chains, known = session.relations.chains(), session.relations.sizes("layer")
    fresh = _measure(chains, known, service.graph.layers, service.graph.layer_size)
    _keep(service, "layer", fresh)
    return Shares(chains, known | fresh)


def blobs(service: ImageService) -> Shares:
    """The compressed layers, configurations and manifests."""
    with service.store.snapshot() as session:
        found, known = session.relations.blobs(), session.relations.sizes("blob")
    fresh = _measure(found, known, service.graph.blobs, service.graph.blob_size)
    _keep(service, "blob", fresh)
    return Shares(found, known | fresh)


def _measure(
    wanted: Mapping[str, Iterable[str]],
    known: Mapping[str, int],
    present: Callable[[], tuple[str, ...]],
    size: Callable[[str], int],
) -> dict[str, int]:
    missing = {name for names in wanted.values() for name in names} - known.keys()
    found: dict[str, int] = {}
    for name in missing.intersection(present()) if missing else ():
        try:
            found[name] = size(name)
        except (errors.PydockError, OSError) as error:
            log.debug("%s cannot be measured: %s", name, error)
    return found


def _keep(service: ImageService, part: Literal["layer", "blob"], fresh: Mapping[str, int]) -> None:
    """What cannot be kept now, on a full disk for instance, is measured again next time."""
    if not fresh:
        return
    try:
        with service.store.transaction(durable=False) as session:
            session.relations.measured(part, fresh)
    except errors.PydockError as error:
        log.warning("sizes of the graph cannot be kept: %s", error.message)
