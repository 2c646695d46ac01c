"""The store on a file does all that a store must."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.store import open_store
from reconciler.store.base import Store
from reconciler.testing.store_bounds import BoundsSuite
from reconciler.testing.store_repositories import GraphSuite, ObjectsSuite, RecordsSuite
from reconciler.testing.store_suite import StoreSuite


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(tmp_path / "state.db")
    yield store
    store.close()


class TestSessions(StoreSuite):
    pass


class TestObjects(ObjectsSuite):
    pass


class TestRecords(RecordsSuite):
    pass


class TestGraph(GraphSuite):
    pass


class TestBounds(BoundsSuite):
    pass
