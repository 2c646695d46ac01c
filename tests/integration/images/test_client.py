"""The client passes the suite against Debian's docker-registry."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reconciler.drivers.registry import client
from reconciler.model import references
from reconciler.testing import images
from reconciler.testing.registry_suite import RegistrySuite, Served


@pytest.fixture(scope="module")
def server() -> Iterator[images.Server]:
    with images.registry() as found:
        yield found


class TestClient(RegistrySuite):
    @pytest.fixture
    def served(self, server: images.Server) -> Served:
        image = images.busybox()
        reference = images.push(server.address, "some/where/x", "v1", image)
        return Served(client.RegistryClient(), references.parse(reference), image)
