"""The client passes the suite against Debian's docker-registry."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reconciler.drivers.registry import client
from reconciler.model import references
from reconciler.testing import images
from reconciler.testing.registry_suite import RegistrySuite, Served


class TestClient(RegistrySuite):
    @pytest.fixture(scope="class")
    def served(self) -> Iterator[Served]:
        image = images.busybox()
        with images.registry() as server:
            reference = images.push(server.address, "some/where/x", "v1", image)
            yield Served(client.RegistryClient(), references.parse(reference), image)
