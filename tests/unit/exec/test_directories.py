"""Directories that an image wants to be there are made inside its root file system, and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reconciler.drivers.exec import rootfs


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root/srv").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    return tmp_path / "root"


def made(root: Path, *paths: str) -> list[str]:
    """What is below ``root`` and beside it that was not there before."""
    before = set(root.parent.rglob("*"))
    rootfs.make_directories(str(root), paths)
    return sorted(str(path.relative_to(root.parent)) for path in set(root.parent.rglob("*")) - before)


def test_what_is_missing_is_made_with_what_is_above_it(root: Path) -> None:
    umask = os.umask(0o077)
    try:
        assert made(root, "/data", "/a/b/c", "relative", "/srv", "/") == [
            "root/a", "root/a/b", "root/a/b/c", "root/data", "root/relative",
        ]  # fmt: skip
    finally:
        os.umask(umask)
    found = os.stat(root / "a/b")
    assert (found.st_mode & 0o7777, found.st_uid, found.st_gid) == (0o755, 0, 0)
    assert made(root, "/data", "/a/b/c") == []


def test_what_is_there_stays_as_it_is(root: Path) -> None:
    (root / "file").write_text("x")
    os.chmod(root / "srv", 0o700)
    assert made(root, "/file", "/file/below", "/srv") == []
    assert os.stat(root / "srv").st_mode & 0o7777 == 0o700


@pytest.mark.parametrize(
    "target", ["{outside}", "../outside", "../../../../../../{outside}", "/proc/self/root/{outside}"]
)
def test_links_lead_nowhere_else(root: Path, target: str) -> None:
    (root / "link").symlink_to(target.format(outside=root.parent / "outside"))
    made(root, "/link/x", "/link/../../outside/y", "/../outside/z")
    assert list((root.parent / "outside").iterdir()) == []


def test_a_link_within_is_followed(root: Path) -> None:
    (root / "link").symlink_to("/srv")
    assert made(root, "/link/data") == ["root/srv/data"]
