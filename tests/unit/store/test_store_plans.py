"""What is asked often must not read whole tables: a change among 10,000 objects costs what it costs among ten."""

from __future__ import annotations

from types import ModuleType

import pytest

from reconciler.store import entries, events, images, journal, leases, memory, objects, observed, relations
from reconciler.store.sql import Query
from reconciler.testing.store import MemoryConnections

#: these are meant to read everything
_WHOLE = {
    "entries._PAGE_OF_KIND",
    "events._ALL",
    "events._TRIM",
    "images._ALL",
    "images._ALL_BLOBS",
    "images._ALL_LAYERS",
    "journal._ALL",
    "journal._TRIM",
    "relations._BLOBS",
    "relations._CHAINS",
    "relations._MADE",
    "relations._USED",
    "leases._ALL",
    "leases._SUBNETS",
    "leases._CLOCK",
}
#: what was asked for, what was found, and the index that holds nothing but running jobs
_SMALL = ("SCAN wanted", "SCAN packed", "SCAN jobs USING INDEX jobs_running")


def _queries(module: ModuleType) -> dict[str, Query]:
    name = module.__name__.rpartition(".")[2]
    return {f"{name}.{key}": value for key, value in vars(module).items() if isinstance(value, Query)}


def _all_queries() -> dict[str, Query]:
    found: dict[str, Query] = {}
    for module in (entries, events, images, journal, leases, memory, objects, observed, relations):
        found |= _queries(module)
    found["objects.find"] = objects._find(frozenset({"source", "item"}))
    return {name: query for name, query in found.items() if name not in _WHOLE}


@pytest.mark.parametrize("name", sorted(_all_queries()))
def test_a_query_searches_by_an_index(name: str) -> None:
    query = _all_queries()[name]
    driver = MemoryConnections().writer.driver
    count = query.text.count("?")
    plan = [row[3] for row in driver.execute(f"EXPLAIN QUERY PLAN {query.text}", [None] * count)]
    scans = [step for step in plan if step.startswith("SCAN") and not step.startswith(_SMALL)]
    assert scans == [], plan
    driver.close()
