"""pytest fixtures: a real registry with a small real image, and daemons of the tests' own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.testing import btrfs as disks
from reconciler.testing import docker as peer
from reconciler.testing import images
from reconciler.testing.daemon import Pydockd
from reconciler.testing.nursery import Nursery


@pytest.fixture(scope="session")
def registry() -> Iterator[images.Server]:
    with images.registry() as server:
        yield server


@pytest.fixture(scope="session")
def image(registry: images.Server) -> str:
    """The reference of a busybox image whose command serves a page on port 80."""
    return images.push(registry.address, "busybox", "demo", images.busybox())


@pytest.fixture(scope="session")
def btrfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory on a btrfs that each test process has to itself."""
    with disks.file_system(tmp_path_factory.mktemp("disk")) as found:
        yield found


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """Where daemons and commands are forked that have everything imported."""
    with contextlib.closing(Nursery()) as found:
        yield found


@pytest.fixture(scope="module")
def born_by(request: pytest.FixtureRequest) -> Nursery | None:
    """How the daemons of a module begin: forked, or (None) as the installed command, where the module is marked so or
    ``PYDOCK_TEST_INSTALLED`` is set."""
    if request.node.get_closest_marker("installed") or os.environ.get("PYDOCK_TEST_INSTALLED"):
        return None
    found: Nursery = request.getfixturevalue("nursery")
    return found


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, born_by: Nursery | None) -> Iterator[Pydockd]:
    """A running daemon that the tests of a module share, each with objects of its own names."""
    daemon = Pydockd(tmp_path_factory.mktemp("host"), flags=("--resync", "3600"), born_by=born_by)
    try:
        yield daemon.start()
    finally:
        daemon.close()


@pytest.fixture
def make_host(tmp_path: Path, born_by: Nursery | None) -> Iterator[Callable[..., Pydockd]]:
    """Makes daemons that a test may break; each is removed afterwards with all it made."""
    made: list[Pydockd] = []

    def make(**options: object) -> Pydockd:
        options = {"flags": ("--resync", "3600"), "born_by": born_by, **options}
        daemon = Pydockd(tmp_path / f"host{len(made)}", **options)  # type: ignore[arg-type]
        made.append(daemon)
        return daemon

    try:
        yield make
    finally:
        for daemon in made:
            daemon.close()


@pytest.fixture
def podman() -> Iterator[Callable[..., str]]:
    """Runs podman with a store of its own; what it prints."""
    store = Path(tempfile.mkdtemp(prefix="podman-", dir="/tmp"))  # podman takes no long path
    words = ["podman", "--root", str(store / "root"), "--runroot", str(store / "run"), "--storage-driver=vfs",
             "--cgroup-manager=cgroupfs", "--events-backend=none", "--tmpdir", str(store / "tmp"),
             "--runtime=runc"]  # fmt: skip
    config = store / "containers.conf"
    config.write_text('[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n')
    env = {"PATH": os.environ["PATH"], "HOME": str(store), "CONTAINERS_CONF": str(config)}

    def run(*more: str | Path) -> str:
        done = subprocess.run([*words, *more], capture_output=True, text=True, timeout=120, env=env)
        assert done.returncode == 0, f"podman {more}: {done.stderr}"
        return done.stdout

    yield run
    subprocess.run([*words, "system", "reset", "--force"], check=False, capture_output=True, timeout=60, env=env)
    shutil.rmtree(store, ignore_errors=True)


@pytest.fixture(scope="session")
def docker() -> Iterator[peer.Docker]:
    with peer.daemon() as found:
        yield found
