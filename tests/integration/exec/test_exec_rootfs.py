"""A running container keeps its root file system whatever the host does to the mount."""

from __future__ import annotations

import ctypes
import shutil
import signal
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from reconciler.testing.exec_bench import RealBench
from reconciler.testing.exec_suite import ended, run
from reconciler.testing.wait import until

_MS_REC_SHARED = 0x4000 | (1 << 20)
_MS_REC_PRIVATE = 0x4000 | (1 << 18)


@pytest.fixture(params=["private", "shared"])
def mounted(request: pytest.FixtureRequest, tmp_path: Path, rootfs: Path) -> Iterator[Path]:
    """An overlay over busybox, on a host whose mounts propagate, or do not."""
    libc = ctypes.CDLL(None, use_errno=True)
    if request.param == "shared":
        assert libc.mount(b"none", b"/", None, _MS_REC_SHARED, None) == 0
    merged, upper, work = tmp_path / "merged", tmp_path / "upper", tmp_path / "work"
    for path in (merged, upper, work):
        path.mkdir()
    options = f"lowerdir={rootfs},upperdir={upper},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, str(merged)], check=True)
    yield merged
    subprocess.run(["umount", "-q", str(merged)], check=False)
    assert libc.mount(b"none", b"/", None, _MS_REC_PRIVATE, None) == 0
    shutil.rmtree(work)


def test_unmounting_on_the_host_changes_nothing_inside(bench: RealBench, mounted: Path) -> None:
    driver = bench.open()
    script = "until [ -e /go ]; do sleep 0.05; done; cat /etc/passwd; exit 3"
    config = run(bench, driver, "one", "sh", "-c", script, rootfs=str(mounted))
    before = driver.inspect("one")
    subprocess.run(["umount", str(mounted)], check=True)
    inside = Path(f"/proc/{before.pid}/root")
    assert (inside / "etc/passwd").read_text().startswith("root:")
    assert driver.inspect("one") == before
    (inside / "go").touch()
    until(lambda: driver.inspect("one").exit_code == 3, 10.0, "the script to go on")
    assert b"web:x:1000" in Path(config.log_path).read_bytes()


def test_mounts_made_inside_stay_inside(bench: RealBench, mounted: Path) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    driver = bench.open()
    run(bench, driver, "one", "sleep", "1000", rootfs=str(mounted))
    assert Path("/proc/self/mountinfo").read_text() == before
    driver.delete("one")
    assert Path("/proc/self/mountinfo").read_text() == before


HOSTS = {"/etc/hosts": "127.0.0.1 localhost\n"}


def test_a_container_may_write_to_its_hosts_file_within_bounds(bench: RealBench) -> None:
    text = bench.output(
        "echo 192.0.2.9 mine >> /etc/hosts; cat /etc/hosts; "
        "dd if=/dev/zero of=/etc/hosts bs=64k count=100 2>&1; stat -c %s /etc/hosts",
        files=HOSTS,
    )
    assert "127.0.0.1 localhost\n192.0.2.9 mine\n" in text
    assert "No space left on device" in text
    assert int(text.splitlines()[-1]) <= 1 << 20


def said(log: Path, times: int) -> bool:
    return log.read_text().count("localhost") == times


def test_its_files_are_fresh_in_each_run_and_nothing_is_mounted_on_the_host(bench: RealBench) -> None:
    driver = bench.open()
    config = bench.config("one", "sh", "-c", "cat /etc/hosts; echo more >> /etc/hosts; exec sleep 1000", files=HOSTS)
    log = Path(config.log_path)
    for number in (1, 2):
        driver.create(config)
        driver.start("one")
        until(partial(said, log, number), 5.0, "its words")
        assert str(bench.base) not in Path("/proc/self/mountinfo").read_text()
        driver.signal("one", signal.SIGKILL)
        ended(driver, "one")
    assert "more" not in log.read_text()


def test_with_a_read_only_root_they_are_read_only(bench: RealBench) -> None:
    text = bench.output("echo x >> /etc/hosts; cat /etc/hosts", files=HOSTS, read_only=True)
    assert "Read-only file system" in text
    assert "127.0.0.1 localhost" in text
