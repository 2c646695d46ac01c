"""pytest fixtures: a real registry with a small real image, and daemons of the tests' own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.testing import images
from reconciler.testing.daemon import Pydockd


@pytest.fixture(scope="session")
def registry() -> Iterator[images.Server]:
    with images.registry() as server:
        yield server


@pytest.fixture(scope="session")
def image(registry: images.Server) -> str:
    """The reference of a busybox image whose command serves a page on port 80."""
    return images.push(registry.address, "busybox", "demo", images.busybox())


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pydockd]:
    """A running daemon that the tests of a module share, each with objects of its own names."""
    daemon = Pydockd(tmp_path_factory.mktemp("host"), flags=("--resync", "3600"))
    try:
        yield daemon.start()
    finally:
        daemon.close()


@pytest.fixture
def make_host(tmp_path: Path) -> Iterator[Callable[..., Pydockd]]:
    """Makes daemons that a test may break; each is removed afterwards with all it made."""
    made: list[Pydockd] = []

    def make(**options: object) -> Pydockd:
        daemon = Pydockd(tmp_path / f"host{len(made)}", flags=("--resync", "3600"), **options)  # type: ignore[arg-type]
        made.append(daemon)
        return daemon

    try:
        yield make
    finally:
        for daemon in made:
            daemon.close()
