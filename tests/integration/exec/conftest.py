"""One busybox file system for all tests of a worker, and benches that must be left clean."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.testing import exec_rootfs
from reconciler.testing.exec_bench import RealBench
from reconciler.testing.exec_suite import stop

__all__ = ["stop"]


@pytest.fixture(scope="session")
def rootfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exec_rootfs.make(tmp_path_factory.mktemp("rootfs"))


@pytest.fixture
def bench(tmp_path: Path, rootfs: Path) -> Iterator[RealBench]:
    found = RealBench(tmp_path, rootfs)
    yield found
    found.close()
