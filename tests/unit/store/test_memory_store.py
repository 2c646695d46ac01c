"""The store in memory does all that a store must."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reconciler.store.base import Store
from reconciler.testing.store import memory_store
from reconciler.testing.store_bounds import BoundsSuite
from reconciler.testing.store_repositories import GraphSuite, ObjectsSuite, RecordsSuite
from reconciler.testing.store_suite import StoreSuite


@pytest.fixture
def store() -> Iterator[Store]:
    store = memory_store()
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
