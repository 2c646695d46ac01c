"""What only the btrfs driver does: subvolumes, and those that containers make in them."""

from __future__ import annotations

import fcntl
import os
import pathlib
import shutil
import statistics
import struct
import subprocess
import time
from collections.abc import Iterator

import pytest

from reconciler import errors
from reconciler.drivers.graph import btrfs as driver
from reconciler.drivers.graph import opening, overlayfs
from reconciler.testing import graph_tars as tars
from reconciler.testing.graph_suite import Place

#: linux/btrfs.h: BTRFS_IOC_SUBVOL_SETFLAGS, BTRFS_SUBVOL_RDONLY
SETFLAGS, READ_ONLY = 0x4008941A, 2
ROOT = 256


@pytest.fixture
def root(btrfs: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    return btrfs / tmp_path.name / "graph"


@pytest.fixture
def place(root: pathlib.Path) -> Iterator[Place]:
    found = Place(root, "btrfs")
    yield found
    found.close()


def subvolumes(root: pathlib.Path) -> list[str]:
    """The subvolumes below ``root``, as btrfs itself lists them."""
    out = subprocess.run(["btrfs", "subvolume", "list", str(root)], capture_output=True, text=True, check=True).stdout
    place = f"{root.parent.name}/{root.name}/"
    return sorted(path.partition(place)[2] for path in out.split() if place in path)


def test_layers_and_root_file_systems_are_subvolumes(place: Place) -> None:
    chain = place.stack([tars.Member(b"a")], [tars.Member(b"b")])
    rootfs = place.driver.prepare("one", chain)
    found = subvolumes(place.root)
    assert [path.partition("/")[0] for path in found] == ["layers", "layers", "snapshots"]
    assert (place.root / found[2], os.stat(rootfs).st_ino) == (pathlib.Path(rootfs), ROOT)
    place.driver.remove("one")
    for layer in reversed(chain):
        place.graph.remove_layer(layer)
    assert subvolumes(place.root) == []


def test_what_layers_share_is_there_once(place: Place) -> None:
    chain = place.stack([tars.Member(b"big", os.urandom(8 << 20))], [tars.Member(b"b")])
    rootfs = place.driver.prepare("one", chain)
    out = subprocess.run(
        ["btrfs", "filesystem", "du", "-s", "--raw", rootfs], capture_output=True, text=True, check=True
    ).stdout
    total, exclusive = (int(number) for number in out.splitlines()[1].split()[:2])
    assert total >= 8 << 20
    assert exclusive < 1 << 20


def test_subvolumes_that_a_container_made_go_with_it(place: Place) -> None:
    """One in another, one below directories, and one made read-only with another in it."""
    rootfs = pathlib.Path(place.driver.prepare("one", place.stack([tars.directory(b"d"), tars.symlink(b"l", b"d")])))
    inner = driver.Subvolumes()
    (rootfs / "d/e/f").mkdir(parents=True)
    for path in ("own", "own/own", "d/e/f/deep", "d/e/f/deep/x", "fixed", "fixed/in"):
        inner.make(str(rootfs / path))
        (rootfs / path / "file").write_text(path)
    descriptor = os.open(rootfs / "fixed", os.O_RDONLY)
    fcntl.ioctl(descriptor, SETFLAGS, struct.pack("=Q", READ_ONLY))
    os.close(descriptor)
    with pytest.raises(OSError, match="Read-only"):
        (rootfs / "fixed/more").touch()
    assert len(subvolumes(place.root)) == 1 + 1 + 6
    place.driver.remove("one")
    assert place.driver.snapshots() == ()
    assert place.leftovers() == []
    assert len(subvolumes(place.root)) == 1


def test_what_a_crash_left_goes_at_the_next_start(place: Place) -> None:
    chain = place.stack([tars.Member(b"a")])
    layers, left = driver.Subvolumes(), place.root / "tmp" / "snapshot-0"
    left.mkdir()
    layers.copy(str(next(iter((place.root / "layers").iterdir()))), str(left / "rootfs"))
    layers.make(str(left / "rootfs" / "inner"))
    layers.make(str(place.root / "tmp" / "layer-0"))
    layers.make(str(place.root / "layers" / "aaaaaaaaaaaaaaaa"))
    place.open()
    assert place.leftovers() == []
    assert place.graph.layers() == chain
    assert len(subvolumes(place.root)) == 1


def test_elsewhere_it_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.Permanent, match=r"btrfs driver does not work in .*: it is on (?!btrfs)"):
        opening.open_graph(tmp_path / "graph", "btrfs")
    assert opening.open_graph(tmp_path / "graph")[1].name == "overlay"


def test_overlay_comes_first_and_btrfs_before_vfs(root: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root.mkdir(parents=True)
    assert opening.open_graph(root / "first")[1].name == "overlay"

    def refuse(*_: object) -> None:
        raise OSError(19, "No such device")

    monkeypatch.setattr(overlayfs, "attach", refuse)
    assert opening.open_graph(root / "second")[1].name == "btrfs"
    with pytest.raises(errors.Conflict, match="made by the btrfs driver"):
        opening.open_graph(root / "second", "vfs")
    with pytest.raises(errors.Conflict, match="made by the overlay driver"):
        opening.open_graph(root / "first", "btrfs")


def test_a_graph_that_was_copied_file_by_file_is_told(place: Place) -> None:
    chain = place.stack([tars.Member(b"a")])
    layer = next(iter((place.root / "layers").iterdir()))
    layer.rename(place.root / "tmp" / "was")
    shutil.copytree(place.root / "tmp" / "was", layer)
    with pytest.raises(errors.PydockError, match="is no subvolume: was it copied"):
        place.driver.prepare("one", chain)
    assert place.driver.snapshots() == ()


def test_removing_is_quick_whatever_the_size(place: Place) -> None:
    """A snapshot of thousands of files goes by one call, not file by file."""
    chain = place.stack([tars.Member(b"f%d" % number) for number in range(5000)])
    took = []
    for number in range(5):
        place.driver.prepare(f"s{number}", chain)
        start = time.thread_time()
        place.driver.remove(f"s{number}")
        took.append(time.thread_time() - start)
    assert statistics.median(took) < 0.02
