from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.testing import engine_api


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[engine_api.Served]:
    """One API process for the tests of a module that leave it as it was."""
    with engine_api.served(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture
def own(tmp_path: Path) -> Iterator[engine_api.Served]:
    """An API process of the test's own."""
    with engine_api.served(tmp_path) as running:
        yield running
