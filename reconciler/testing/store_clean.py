"""Whether the image store is clean: what is on disk is what it says it is, and what the database counts on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from reconciler.drivers.graph.base import Graph
from reconciler.store.base import Store


def problems(store: Store, graph: Graph, root: Path, *, unpack: bool = True) -> list[str]:
    """What is wrong, in words; nothing in a clean store. Nobody may be at work. ``root`` is the graph's directory.
    With ``unpack`` each layer is compared with what its blob unpacks to.

    Blobs that no image has yet are in order, if they are whole: a pull that failed keeps them for its next try."""
    with store.snapshot() as session:
        blobs, layers = session.images.needed()
    there = set(graph.layers())
    return [
        *(f"{name} is in the temporary directory" for name in sorted(os.listdir(root / "tmp"))),
        *_damaged(graph, root / "blobs"),
        *(f"blob {digest} is recorded and not here" for digest in sorted(blobs - set(graph.blobs()))),
        *(f"layer {name} is recorded and not here" for name in sorted(layers - there)),
        *(f"layer {name} is here and not recorded" for name in sorted(there - layers)),
        *(_other_layers(store, graph) if unpack else ()),
    ]


def _other_layers(store: Store, graph: Graph) -> Iterator[str]:
    """Layers that are not what their blobs unpack to."""
    with store.snapshot() as session:
        chains, images = session.relations.chains(), session.images.all()
    for facts in images:
        for chain, blob in zip(chains.get(facts.digest, ()), facts.layers, strict=True):
            if graph.has_layer(chain) and graph.has_blob(blob):
                yield from (f"layer {chain}: {problem}" for problem in graph.check_layer(chain, blob))


def _damaged(graph: Graph, directory: Path) -> Iterator[str]:
    """Files among the blobs that are none, or whose bytes have another digest than their name says."""
    known = set(graph.blobs())
    for path in sorted(directory.rglob("*")):
        if path.is_dir():
            continue
        digest = str(path.relative_to(directory)).replace("/", ":")
        if digest not in known:
            yield f"{path} is no blob"
        elif hashlib.new(digest.partition(":")[0], path.read_bytes()).hexdigest() != digest.partition(":")[2]:
            yield f"blob {digest} has other bytes"
