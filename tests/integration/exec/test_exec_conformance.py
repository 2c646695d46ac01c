"""The real driver, with each runtime that this host can be made to take."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.testing.exec_bench import RealBench, cgroup_view
from reconciler.testing.exec_suite import ExecSuite


class TestHost(ExecSuite):
    """The host as it is, with the runtime that the probe finds."""


class TestCrunOnV1(ExecSuite):
    """crun refuses a hybrid layout, so it gets to see v1 alone."""

    @pytest.fixture
    def bench(self, tmp_path: Path, rootfs: Path) -> Iterator[RealBench]:
        with cgroup_view("v1"):
            found = RealBench(tmp_path, rootfs, "crun")
            yield found
            found.close()


class TestRuncOnV2(ExecSuite):
    """v2 alone, but without the controllers that v1 holds here: so without limits."""

    test_limits_are_in_force_and_change_in_place = None  # type: ignore[assignment]

    @pytest.fixture
    def bench(self, tmp_path: Path, rootfs: Path) -> Iterator[RealBench]:
        with cgroup_view("v2"):
            found = RealBench(tmp_path, rootfs, "runc")
            yield found
            found.close()
