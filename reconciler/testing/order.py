"""The order of the tests: the files that take longest come first, so that no worker is left with one at the end.

``make test`` gives each worker whole files (a module's daemon starts once), in the order in which they are collected.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

#: files that take longer than their number of tests lets expect, and how many seconds about; ``--durations`` tells
SECONDS = {
    "tests/faults/test_failpoints.py": 200,
    "tests/integration/images/test_killed_pulls.py": 60,
    "tests/faults/test_random_kills.py": 40,
    "tests/faults/test_restarts.py": 40,
    "tests/integration/images/test_peers.py": 40,
    "tests/integration/images/test_kills.py": 30,
    "tests/integration/images/test_mutants.py": 30,
    "tests/integration/sources/test_sources_loop.py": 25,
    "tests/integration/images/test_churn.py": 20,
    "tests/e2e/test_directory.py": 20,
    "tests/e2e/test_check.py": 20,
    "tests/e2e/test_core_end.py": 20,
    "tests/faults/test_state.py": 20,
    "tests/integration/network/test_network_crashes.py": 20,
    "tests/unit/control/test_reconcile_properties.py": 20,
    "tests/unit/docs/test_checks.py": 5,
    "tests/unit/api/test_api_others.py": 5,
}
#: of a test elsewhere, by its tier
_PER_TEST = {"unit": 0.03, "integration": 0.3, "e2e": 1.0, "faults": 2.0}


def longest_first(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """The items of one file stay together, in their order."""
    tests = Counter(map(_file, items))
    return sorted(items, key=lambda item: (-_seconds(_file(item), tests[_file(item)]), _file(item)))


def _file(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


def _seconds(file: str, tests: int) -> float:
    tier = file.split("/")[1] if file.count("/") > 1 else "unit"
    return SECONDS.get(file, tests * _PER_TEST.get(tier, 1.0))
