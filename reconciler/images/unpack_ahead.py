"""Layers of one image that are unpacked while those below them still are: one core unpacks one layer.

Most layers bring all that they are made of, and need nothing of those below; those that do need it are left to their
turn. Turns are the pull's: this only prepares.
"""

from __future__ import annotations

import os
import threading
from concurrent import futures

from reconciler.drivers.graph import base as graphs

#: layers at once: each takes a helper's memory (30 MB)
_AT_ONCE = 2


class Ahead:
    """``begin`` and ``take`` each layer once; ``close`` drops what was not taken."""

    def __init__(self, graph: graphs.Graph) -> None:
        self._graph = graph
        at_once = min(_AT_ONCE, os.cpu_count() or 1)
        self._pool = futures.ThreadPoolExecutor(at_once, thread_name_prefix="pull-unpack")
        self._slots = threading.Semaphore(at_once)
        self._begun: dict[str, futures.Future[graphs.Prepared | None]] = {}

    def begin(self, chain: str, parent: str, diff_id: str, blob: str) -> None:
        """The layer's blob can be unpacked."""
        self._begun[chain] = self._pool.submit(self._prepare, chain, parent, diff_id, blob)

    def _prepare(self, chain: str, parent: str, diff_id: str, blob: str) -> graphs.Prepared | None:
        with self._slots:
            return self._graph.prepare_layer(chain, parent, diff_id, blob)

    def unpack(self, chain: str, parent: str, diff_id: str, blob: str) -> int:
        """Unpacks a layer in its turn, or takes what was prepared. As ``Graph.unpack_layer``."""
        begun = self._begun.pop(chain, None)
        prepared = None if begun is None or begun.cancel() else begun.result()
        if prepared is not None:
            try:
                return self._graph.unpack_layer(chain, parent, diff_id, blob, prepared)
            finally:
                prepared.discard()
        with self._slots:
            return self._graph.unpack_layer(chain, parent, diff_id, blob)

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        for begun in self._begun.values():
            if not begun.cancelled() and begun.exception() is None and (prepared := begun.result()) is not None:
                prepared.discard()
