"""What tests of the middle share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.testing.loop import Loop


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    """A controller without threads, on drivers in memory. A module with needs of its own makes another."""
    made = Loop(tmp_path)
    try:
        yield made
    finally:
        made.close()
