"""The order in which files of tests are handed out."""

from __future__ import annotations

from pathlib import Path

from reconciler.testing import order

TESTS = Path(__file__).parents[2]


class Item:
    def __init__(self, nodeid: str) -> None:
        self.nodeid = nodeid


def test_the_longest_first_and_each_file_in_its_own_order() -> None:
    ids = [
        "tests/unit/a.py::2",
        "tests/unit/a.py::1",
        "tests/e2e/b.py::1",
        "tests/faults/test_failpoints.py::x",
        "tests/e2e/b.py::0",
    ]
    found = order.longest_first([Item(each) for each in ids])  # type: ignore[misc]
    assert [item.nodeid for item in found] == [ids[3], ids[2], ids[4], ids[0], ids[1]]


def test_the_files_that_are_named_are_there() -> None:
    assert [file for file in order.SECONDS if not (TESTS.parent / file).exists()] == []
