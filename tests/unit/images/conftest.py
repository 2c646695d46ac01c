"""One loopback server for all tests of the registry client here; each test starts with nothing served."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reconciler.testing import registry_hostile
from reconciler.testing.registry_hostile import HostileServer


@pytest.fixture(scope="session")
def _server() -> Iterator[HostileServer]:
    with registry_hostile.hostile() as found:
        yield found


@pytest.fixture
def server(_server: HostileServer) -> HostileServer:
    _server.handlers.clear()
    _server.seen.clear()
    _server.heads.clear()
    return _server
