from __future__ import annotations

import pytest

from reconciler.model import references
from reconciler.testing import images
from reconciler.testing.registry_fake import FakeRegistry
from reconciler.testing.registry_suite import RegistrySuite, Served


class TestFakeRegistry(RegistrySuite):
    @pytest.fixture
    def served(self) -> Served:
        registry, image = FakeRegistry(), images.busybox()
        registry.add("r.example/x:v1", image)
        return Served(registry, references.parse("r.example/x:v1"), image)
