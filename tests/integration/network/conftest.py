"""One harness a test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.testing.network_linux import LinuxHarness


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[LinuxHarness]:
    made = LinuxHarness(tmp_path)
    yield made
    made.clear()
