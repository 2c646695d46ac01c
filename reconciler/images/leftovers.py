"""Blobs and layers that no image needs any more, removed at a moment when no pull counts on them.

A pull takes what is there already for granted, and records what its image needs last. So nothing goes while one is
under way; and what goes is compared with what is recorded by then.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from reconciler import errors
from reconciler.drivers.graph.base import Graph
from reconciler.store.base import Store

log = logging.getLogger("pydock.images")


class Leftovers:
    """What images that were forgotten have left. What a crash leaves of it is found at the next start."""

    def __init__(self, store: Store, graph: Graph) -> None:
        self._store, self._graph = store, graph
        self._lock = threading.Lock()
        self._pulls = 0
        self._blobs: dict[str, None] = {}
        self._layers: dict[str, None] = {}

    @contextmanager
    def kept(self) -> Iterator[None]:
        """While a pull is under way, until its image is recorded."""
        with self._lock:
            self._pulls += 1
        try:
            yield
        finally:
            with self._lock:
                self._pulls -= 1
                try:
                    self._remove()
                except (errors.PydockError, OSError) as error:
                    log.warning("what no image needs any more cannot be removed yet: %s", error)

    def discard(self, unused: tuple[list[str], list[str]]) -> None:
        """Removes blobs and layers (top first), now or after the last pull that is under way."""
        blobs, layers = unused
        with self._lock:
            self._blobs.update(dict.fromkeys(blobs))
            self._layers.update(dict.fromkeys(layers))
            self._remove()

    @property
    def busy(self) -> bool:
        """Whether a pull is under way; what is discarded meanwhile goes afterwards."""
        return self._pulls > 0

    @property
    def waiting(self) -> bool:
        """Whether something goes as soon as no pull is under way."""
        return bool(self._blobs or self._layers)

    def stray(self) -> tuple[list[str], list[str]]:
        """Blobs and layers on disk that no image has: none while a pull is under way, whose they may be."""
        if self.busy:
            return [], []
        found = self._graph.blobs(), self._graph.layers()
        with self._store.snapshot() as session:
            blobs, layers = session.images.needed()
        return sorted(set(found[0]) - blobs), sorted(set(found[1]) - layers)

    def _remove(self) -> None:
        if self._pulls or not (self._blobs or self._layers):
            return
        with self._store.snapshot() as session:
            blobs, layers = session.images.needed()
        failures = _remove_each(self._layers, layers, self._graph.remove_layer)
        failures += _remove_each(self._blobs, blobs, self._graph.remove_blob)
        if failures:
            raise failures[0]


def _remove_each(pending: dict[str, None], needed: Collection[str], remove: Callable[[str], None]) -> list[Exception]:
    """Removes what is not needed; what cannot be removed stays pending, and holds up nothing else."""
    failures: list[Exception] = []
    for name in list(pending):
        try:
            if name not in needed:
                remove(name)
        except (errors.PydockError, OSError) as error:
            failures.append(error)
        else:
            del pending[name]
    return failures
