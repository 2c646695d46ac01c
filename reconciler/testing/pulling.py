"""Whole pulls, as `pydock pull` makes them: Engine, store, a real graph and the real registry client, without a
daemon."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from reconciler.drivers.graph import opening, options
from reconciler.drivers.registry.client import RegistryClient
from reconciler.images import stop
from reconciler.model.credentials import Credentials
from reconciler.store import open_store
from reconciler.testing import graph_trees, store_clean
from reconciler.testing.loop import Loop


def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that transfers wait before they go on, as they come; nothing really waits."""
    found: list[float] = []

    def wait(self: stop.Stop, seconds: float) -> bool:
        found.append(seconds)
        return self.is_set()

    monkeypatch.setattr(stop.Stop, "wait", wait)
    return found


class Puller:
    """``patience``: seconds in which a transfer must make progress. ``limits``: storage options of the graph."""

    def __init__(self, work: Path, *, patience: float = 20.0, limits: Sequence[str] = ()) -> None:
        self.root = work / "graph"
        self.loop = Loop(work / "scratch", open_store(work / "state.db"))
        self.graph, self.driver = opening.open_graph(self.root, "overlay", options.parse(limits))
        self.loop.use(self.graph, self.driver, RegistryClient(patience=patience))

    def close(self) -> None:
        for id in self.driver.snapshots():
            self.driver.remove(id)
        self.loop.close()

    def pull(self, reference: str, login: Credentials | None = None) -> str:
        """The digest of the image. Raises what the pull ends with."""
        args: dict[str, Any] = {"reference": reference}
        if login is not None:
            args["credentials"] = {"username": login.username, "password": login.password}
        answer = self.loop.ask("pull_image", **args)
        return str(answer["digest"])

    def tree(self, reference: str) -> dict[str, graph_trees.Node]:
        """Of an image that is here, on its layers as recorded."""
        with self.loop.store.snapshot() as session:
            facts = session.images.get(reference)
            assert facts is not None, f"{reference} is not recorded"
            chain = session.images.chain(facts.image_id)
        rootfs = self.driver.prepare("tree", chain)
        try:
            return graph_trees.describe(rootfs)
        finally:
            self.driver.remove("tree")

    def recorded(self) -> list[str]:
        """The references that are."""
        with self.loop.store.snapshot() as session:
            return [facts.reference for facts in session.images.all()]

    def problems(self, *, unpack: bool = True) -> list[str]:
        return store_clean.problems(self.loop.store, self.graph, self.root, unpack=unpack)
