"""A running container keeps its root file system whatever the host does to the mount."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.testing.exec_bench import RealBench
from reconciler.testing.exec_suite import run
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
