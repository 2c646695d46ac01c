"""The graph's driver and options, as a host's owner sets them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.testing import wait
from reconciler.testing.daemon import Pydockd, container


@pytest.fixture
def on_btrfs(btrfs: Path, tmp_path: Path) -> Iterator[Pydockd]:
    daemon = Pydockd(
        btrfs / tmp_path.name, flags=("--resync", "3600"), run=tmp_path / "run", env={"PYDOCK_STORAGE_DRIVER": "btrfs"}
    )
    try:
        yield daemon.start()
    finally:
        daemon.close()


def driver(host: Pydockd) -> str:
    return str(json.loads(host.cli("version", "-o", "json").stdout)["server"]["drivers"]["graph"])


def test_containers_on_btrfs(on_btrfs: Pydockd, image: str) -> None:
    """One writes, the daemon is killed, the container runs on with what it wrote, and leaves nothing."""
    host = on_btrfs
    assert driver(host) == "btrfs on btrfs"
    words = "trap 'exit 0' TERM; echo mine >/note; while :; do sleep 3600 & wait $!; done"
    host.apply(container("web", image, command=["sh", "-c", words]))
    pid = host.wait_ready_container("web")["pid"]
    snapshots = host.root / "graph" / "snapshots"
    note = wait.until(lambda: next(snapshots.glob("*/rootfs/note"), None), 10, "what the container wrote")
    assert note is not None
    host.kill()
    host.start()
    assert host.wait_ready_container("web")["pid"] == pid
    assert note.read_text() == "mine\n"
    host.delete("Container", "web")
    host.wait_gone("Container", "web")
    wait.until(lambda: not list(snapshots.iterdir()), 10, "the snapshot to be gone")
    assert list((host.root / "graph" / "tmp").iterdir()) == []


def test_options_have_effect(make_host: Callable[..., Pydockd], image: str) -> None:
    """The file, the environment, and flags in their order; a quota that the image does not keep to."""
    host = make_host(env={"PYDOCK_STORAGE_DRIVER": "overlay2"})
    config = host.work / "pydockd.toml"
    config.write_text('storage_driver = "vfs"\nstorage_opts = ["overlay.mountopt=nosuid,noatime"]\n')
    host.start(flags=("--config", str(config)))
    assert driver(host).startswith("overlay on ")
    assert "storage driver overlay2 is the one that is called overlay here" in host.tail()
    host.apply(container("web", image))
    host.wait_ready_container("web")
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    (flags,) = (line.split()[5] for line in mounts if f"{host.root.resolve()}/graph/snapshots" in line)
    assert {"nosuid", "noatime"} <= set(flags.split(","))
    host.stop()
    host.start(flags=("--config", str(config), "--storage-opt", "max-layer-entries=3"))
    assert host.status("web")["phase"] == "Running"


def test_an_image_that_is_over_the_quota_is_told(make_host: Callable[..., Pydockd], image: str) -> None:
    host = make_host().start(flags=("--storage-opt", "max-layer-entries=3"))
    done = host.cli("pull", image)
    assert done.returncode == 1
    assert "it has more files than are allowed" in done.stderr
    assert list((host.root / "graph" / "layers").iterdir()) == []


def test_a_store_of_another_driver_is_left_as_it_is(make_host: Callable[..., Pydockd]) -> None:
    host = make_host().start()
    host.stop()
    before = host.log.stat().st_size
    process = host.start(ready=False, flags=("--storage-driver", "vfs")).process
    assert process is not None
    assert process.wait(20) == 1
    said = host.log.read_text()[before:]
    assert "was made by the overlay driver: choose overlay, or another root for vfs" in said
    assert host.start() is host
