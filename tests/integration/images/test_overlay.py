"""What only the overlay driver does: mounts, and bringing them back."""

from __future__ import annotations

import os
import pathlib
import select
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from reconciler import errors
from reconciler.drivers.graph import chains, extraction, mountinfo, overlayfs, syscalls
from reconciler.testing import graph_tars as tars
from reconciler.testing import images
from reconciler.testing.graph_suite import Place

#: enters a mount namespace of its own, makes the directory its root as a runtime does, tells so, and serves requests:
#: it is "the container"
_CONTAINER = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
root, read_only = os.fsencode(sys.argv[1]), sys.argv[2] == "ro"
def check(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), "container")
check(libc.unshare(0x20000))
check(libc.mount(b"none", b"/", None, 0x4000 | (1 << 18), None))
check(libc.mount(root, root, None, 0x1000 | 0x4000, None))
os.chdir(root)
check(libc.syscall(155, b".", b"."))
check(libc.umount2(b".", 2))
os.chdir("/")
if read_only:
    check(libc.mount(None, b"/", None, 0x1000 | 0x20 | 0x1, None))
print("ready", flush=True)
for line in sys.stdin:
    verb, name, *rest = line.split()
    try:
        if verb == "write":
            fd = os.open("/" + name, os.O_WRONLY | os.O_CREAT, 0o644)
            os.write(fd, rest[0].encode())
            print("ok", flush=True)
        else:
            print(os.read(os.open("/" + name, os.O_RDONLY), 100).decode(), flush=True)
    except OSError as error:
        print(error.strerror, flush=True)
"""


class Container:
    def __init__(self, rootfs: str, mode: str = "rw") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _CONTAINER, rootfs, mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._line() == "ready"

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ask(self, *words: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()
        return self._line()

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def place(tmp_path: pathlib.Path) -> Iterator[Place]:
    found = Place(tmp_path / "graph", "overlay")
    yield found
    found.close()


@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_a_rootfs_unmounted_on_the_host_comes_back_from_the_container(place: Place, mode: str) -> None:
    chain = place.stack([tars.Member(b"a", b"below")])
    rootfs = pathlib.Path(place.driver.prepare("c", chain))
    (rootfs / "before").write_text("1")
    container = Container(str(rootfs), mode)
    try:
        syscalls.umount(str(rootfs))
        assert not place.driver.mounted("c")
        assert place.driver.mounts() == frozenset()
        place.driver.restore_mount("c", container.process.pid)
        assert place.driver.mounted("c")
        assert place.driver.mounts() == {"c"}
        assert (rootfs / "before").read_text() == "1"
        (rootfs / "host").write_text("from-the-host")
        assert container.ask("read", "host") == "from-the-host"
        if mode == "rw":
            assert container.ask("write", "inside", "from-inside") == "ok"
            assert (rootfs / "inside").read_text() == "from-inside"
        else:
            assert container.ask("write", "inside", "x") == "Read-only file system"
        place.driver.restore_mount("c", container.process.pid)
        assert [mount.point for mount in _mounts() if mount.point == str(rootfs)] == [str(rootfs)]
    finally:
        container.stop()


def test_the_calling_thread_stays_where_it_was(place: Place) -> None:
    rootfs = place.driver.prepare("c", place.stack([tars.Member(b"a")]))
    container = Container(rootfs)
    before = (os.readlink("/proc/thread-self/ns/mnt"), os.getcwd(), os.stat("/").st_ino)
    try:
        syscalls.umount(rootfs)
        place.driver.restore_mount("c", container.process.pid)
        assert (os.readlink("/proc/thread-self/ns/mnt"), os.getcwd(), os.stat("/").st_ino) == before
    finally:
        container.stop()


def test_what_a_stranger_mounted_over_it_is_noticed_and_taken_away(place: Place) -> None:
    rootfs = place.driver.prepare("c", place.stack([tars.Member(b"a", b"1")]))
    container = Container(rootfs)
    try:
        syscalls.mount("none", rootfs, "tmpfs", 0, "")
        assert not place.driver.mounted("c")
        assert place.driver.mounts() == frozenset()
        place.driver.restore_mount("c", container.process.pid)
        assert place.driver.mounted("c")
        assert os.listdir(rootfs) == ["a"]
        assert len([mount for mount in _mounts() if mount.point == rootfs]) == 1
    finally:
        container.stop()


def test_a_process_that_does_not_have_it_as_its_root_is_refused(place: Place) -> None:
    chain = place.stack([tars.Member(b"a")])
    one, two = place.driver.prepare("one", chain), place.driver.prepare("two", chain)
    container = Container(two)
    try:
        syscalls.umount(one)
        with pytest.raises(errors.Permanent, match="is not the file system of one"):
            place.driver.restore_mount("one", container.process.pid)
        with pytest.raises(errors.Permanent, match="is not the file system of one"):
            place.driver.restore_mount("one", os.getpid())
    finally:
        container.stop()
    with pytest.raises(errors.NotFound, match="is gone"):
        place.driver.restore_mount("one", container.process.pid)


def test_mounts_under_a_place_that_was_covered_are_not_seen(place: Place) -> None:
    place.driver.prepare("c", place.stack([tars.Member(b"a")]))
    above = str(place.root)
    syscalls.mount("none", above, "tmpfs", 0, "")
    try:
        assert not place.driver.mounted("c")
    finally:
        syscalls.umount(above)
    assert place.driver.mounted("c")


def test_prepare_mounts_again_after_a_reboot(place: Place) -> None:
    chain = place.stack([tars.Member(b"a")])
    rootfs = pathlib.Path(place.driver.prepare("c", chain))
    (rootfs / "kept").touch()
    place.driver.unmount("c")
    place.driver.unmount("c")
    assert not place.driver.mounted("c")
    assert sorted(os.listdir(place.driver.prepare("c", chain))) == ["a", "kept"]


def test_130_layers(place: Place) -> None:
    chain: list[str] = []
    for number in range(130):
        archive = tars.archive([tars.Member(b"n", str(number).encode()), tars.Member(b"f%d" % number)])
        chain.append(place.layer(archive, chain[-1] if chain else ""))
    rootfs = pathlib.Path(place.driver.prepare("many", tuple(chain)))
    assert (rootfs / "n").read_text() == "129"
    assert len(os.listdir(rootfs)) == 131


def test_mount_2_as_older_kernels_need_it(place: Place, tmp_path: pathlib.Path) -> None:
    layers = tmp_path / "layers"
    names = [chains.short_name(str(number)) for number in range(200)]
    for name in names:
        (layers / name).mkdir(parents=True)
        (layers / name / name).touch()
    for name in ("upper", "work", "target"):
        (tmp_path / name).mkdir()
    target = str(tmp_path / "target")
    overlayfs.mount("pydock", target, str(layers), names, str(tmp_path / "upper"), str(tmp_path / "work"))
    try:
        assert sorted(os.listdir(target)) == sorted(names)
        assert mountinfo.read().over(target).kind == "overlay"  # type: ignore[union-attr]
    finally:
        syscalls.umount(target)
    with pytest.raises(OSError, match="more than this kernel can mount"):
        overlayfs.mount("pydock", target, str(layers), names * 2)


def test_the_older_way_does_all_that_the_newer_does(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> int:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(overlayfs, "detached", unknown)
    chain = place.stack([tars.Member(b"a")], [tars.Member(b"b")])
    rootfs = place.driver.prepare("old", chain)
    assert sorted(os.listdir(rootfs)) == ["a", "b"]
    assert place.driver.mounts() == {"old"}


def test_a_change_of_mounts_is_heard(place: Place) -> None:
    chain = place.stack([tars.Member(b"a")])
    fd = place.driver.mount_event_fd()
    assert fd is not None
    assert place.driver.mount_event_fd() == fd
    poll = select.poll()
    poll.register(fd, select.POLLPRI | select.POLLERR)
    poll.poll(0)
    assert poll.poll(0) == []
    rootfs = place.driver.prepare("c", chain)
    assert poll.poll(2000)
    syscalls.umount(rootfs)
    assert poll.poll(2000)


def test_what_a_probe_left_mounted_goes_at_the_next_start(place: Place) -> None:
    left = place.root / "tmp" / "snapshot-0" / "rootfs"
    left.mkdir(parents=True)
    syscalls.mount("none", str(left), "tmpfs", 0, "")
    place.open()
    assert place.leftovers() == []


def test_prepare_is_quick(place: Place) -> None:
    chain = place.stack(*[[tars.Member(b"f%d" % number)] for number in range(5)])
    took = []
    for number in range(20):
        start = time.thread_time()
        place.driver.prepare(f"s{number}", chain)
        took.append(time.thread_time() - start)
    assert statistics.median(took) < 0.003


def _mounts() -> list[mountinfo.Mount]:
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        return [mountinfo.parse(line) for line in file.read().splitlines()]


def test_a_layer_is_not_renewed_under_a_container_whose_mount_is_gone_here(place: Place) -> None:
    """Somebody unmounted it on the host; the container, in a namespace of its own, runs on."""
    archive = tars.archive([tars.Member(b"a", b"1")])
    chain = place.layer(archive)
    rootfs = place.driver.prepare("one", (chain,))
    blob = images.digest(images.packed(archive, "gzip"))
    command = ["unshare", "-m", "--propagation", "private", "sh", "-c", f"cd {rootfs} && echo in && read x && cat a"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as container:
        assert container.stdout is not None
        assert container.stdout.readline() == b"in\n"
        place.driver.unmount("one")
        with pytest.raises(errors.Conflict, match=r"is mounted: one$"):
            place.driver.renew_layer(chain, blob)
        assert container.communicate(b"\n")[0] == b"1"
    place.driver.renew_layer(chain, blob)


def test_a_layer_that_two_unpack_at_once_is_not_swapped(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The slower one finds it unpacked, and perhaps mounted."""
    archive = tars.archive([tars.Member(b"a", b"1")])
    blob, diff_id, run = place.put(archive), images.digest(archive), extraction.run
    trees: list[int] = []

    def meanwhile(*arguments: Any) -> extraction.Result | None:
        done = run(*arguments)
        monkeypatch.setattr(extraction, "run", run)
        place.graph.unpack_layer(diff_id, "", diff_id, blob)
        place.graph.settle_layer(diff_id)
        trees.append(next((place.root / "layers").iterdir()).stat().st_ino)
        return done

    monkeypatch.setattr(extraction, "run", meanwhile)
    assert place.graph.unpack_layer(diff_id, "", diff_id, blob) == 1
    place.graph.settle_layer(diff_id)
    assert [each.stat().st_ino for each in (place.root / "layers").iterdir()] == trees
    assert place.leftovers() == []
