"""Helpers that unpack are forked from the test's process, but for modules that are marked ``installed``."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from reconciler.drivers.graph import helper_process
from reconciler.testing import forked_helpers


@pytest.fixture(scope="module", autouse=True)
def helpers(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if not (request.node.get_closest_marker("installed") or os.environ.get("PYDOCK_TEST_INSTALLED")):
            patch.setattr(helper_process, "_start", forked_helpers.start)
        yield
