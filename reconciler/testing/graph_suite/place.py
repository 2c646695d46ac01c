"""A graph with its driver, for tests."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence

from reconciler.drivers.graph import base, chains
from reconciler.testing import graph_tars as tars
from reconciler.testing import graph_trees, images


class Place:
    """A graph with its driver, and how to open it once more as after a restart. ``ahead``: layers are prepared before
    their turn where they can be, ``prepared`` counts those on others."""

    def __init__(self, root: pathlib.Path, driver: str, *options: str, ahead: bool = False) -> None:
        self.root, self.name, self.options, self.ahead = root, driver, options, ahead
        self.prepared = 0
        self.open()

    def open(self) -> None:
        from reconciler.drivers.graph import opening, options

        self.graph: base.Graph
        self.driver: base.GraphDriver
        self.graph, self.driver = opening.open_graph(self.root, self.name, options.parse(self.options))

    def close(self) -> None:
        """Removes every snapshot, so that nothing stays mounted."""
        for id in self.driver.snapshots():
            self.driver.remove(id)

    def empty(self) -> None:
        """Removes every snapshot, layer and blob."""
        self.close()
        for chain in self.graph.layers():
            self.graph.remove_layer(chain)
        for digest in self.graph.blobs():
            self.graph.remove_blob(digest)

    def put(self, data: bytes) -> str:
        """Stores a blob; returns its digest."""
        digest = images.digest(data)
        writer = self.graph.write_blob(digest, len(data))
        writer.write(data)
        writer.commit()
        return digest

    def layer(self, archive: bytes, parent: str = "", packing: images.Packing = "gzip") -> str:
        """Unpacks a layer; returns its chain id."""
        blob = self.put(images.packed(archive, packing))
        diff_id = images.digest(archive)
        chain = chains.chain_id(parent, diff_id)
        prepared = self.graph.prepare_layer(chain, parent, diff_id, blob) if self.ahead else None
        self.prepared += bool(parent and prepared is not None)
        self.graph.unpack_layer(chain, parent, diff_id, blob, prepared)
        self.graph.settle_layer(chain)
        return chain

    def stack(self, *layers: Sequence[tars.Member]) -> tuple[str, ...]:
        """Unpacks layers given as members, bottom first; returns the chain."""
        found: list[str] = []
        for members in layers:
            found.append(self.layer(tars.archive(members), found[-1] if found else ""))
        return tuple(found)

    def show(self, *layers: Sequence[tars.Member]) -> dict[str, graph_trees.Node]:
        """The tree of a snapshot over the layers."""
        rootfs = self.driver.prepare("show", self.stack(*layers))
        try:
            return graph_trees.describe(rootfs)
        finally:
            self.driver.remove("show")

    def names(self, *layers: Sequence[tars.Member]) -> set[str]:
        return set(self.show(*layers)) - {"."}

    def leftovers(self) -> list[str]:
        return os.listdir(self.root / "tmp")
