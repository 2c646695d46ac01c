"""All graph drivers pass the one suite."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest

from reconciler.testing.graph_suite import GraphSuite, Place


class TestOverlay(GraphSuite):
    @pytest.fixture
    def place(self, tmp_path: pathlib.Path) -> Iterator[Place]:
        found = Place(tmp_path / "graph", "overlay")
        yield found
        found.close()


class TestOverlayAhead(GraphSuite):
    """The same, with layers unpacked before those below them wherever that can be."""

    @pytest.fixture
    def place(self, tmp_path: pathlib.Path) -> Iterator[Place]:
        found = Place(tmp_path / "graph", "overlay", ahead=True)
        yield found
        found.close()


class TestVfs(GraphSuite):
    @pytest.fixture
    def place(self, tmp_path: pathlib.Path) -> Iterator[Place]:
        found = Place(tmp_path / "graph", "vfs")
        yield found
        found.close()


class TestBtrfs(GraphSuite):
    @pytest.fixture
    def place(self, btrfs: pathlib.Path, tmp_path: pathlib.Path) -> Iterator[Place]:
        found = Place(btrfs / tmp_path.name / "graph", "btrfs")
        yield found
        found.close()
