"""The scanner on a real file system: contained, never blocked, precise about what it could not see."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.control.sources.directory.scan import Scanner, Signature
from reconciler.control.sources.ledger import facts


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "pydock.d"
    made.mkdir()
    return made


def scan(root: Path) -> facts.Scan:
    return Scanner(str(root), "boot").scan()


def read(root: Path, path: str) -> bytes | None:
    signature = scan(root).files[path].signature
    assert signature is not None
    return Scanner(str(root), "boot").read(path, signature).data


def test_suffixes_are_exact_and_leftovers_ignored(root: Path) -> None:
    for name in ("a.yaml", "b.yml", "c.json"):
        (root / name).write_text(name)
    for name in (
        "a.yaml~",
        ".a.yaml.swp",
        "a.yaml.swp",
        "4913",
        "a.yaml.bak",
        "#a.yaml#",
        ".#a.yaml",
        ".hidden.yaml",
        "a.YAML",
        "yaml",
        ".yaml",
        "a.yaml.tmp",
        "a.yaml.orig",
        "sedAbCdEf",
        "README",
    ):
        (root / name).write_text("x")
    assert list(scan(root).files) == ["a.yaml", "b.yml", "c.json"]
    assert read(root, "b.yml") == b"b.yml"


def test_directories_are_entered_hidden_ones_not(root: Path) -> None:
    (root / "x/y.yaml").mkdir(parents=True)
    (root / "x/y.yaml/a.yaml").write_text("1")
    (root / ".git").mkdir()
    (root / ".git/b.yaml").write_text("2")
    found = scan(root)
    assert list(found.files) == ["x/y.yaml/a.yaml"]
    assert set(found.folders) == {str(root), f"{root}/x", f"{root}/x/y.yaml"}


def test_links_may_not_leave_the_directory(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "o.yaml").write_text("secret")
    (root / "shadow.yaml").symlink_to("/etc/shadow")
    (root / "up.yaml").symlink_to("../outside/o.yaml")
    (root / "dangling.yaml").symlink_to("nowhere")
    (root / "loop.yaml").symlink_to("loop.yaml")
    (root / "out").symlink_to(outside)
    (root / "real.yaml").write_text("real")
    (root / "in.yaml").symlink_to("real.yaml")
    found = scan(root)
    assert found.files["shadow.yaml"].trouble == "a link out of the directory: not read"
    assert found.files["up.yaml"].trouble == "a link out of the directory: not read"
    assert found.files["dangling.yaml"].trouble == "no such file or directory"
    assert found.files["loop.yaml"].trouble == "too many levels of symbolic links"
    assert found.unreadable == {"out": "a link out of the directory: not followed"}
    assert found.files["in.yaml"].trouble == ""
    assert read(root, "in.yaml") == b"real"
    assert not any(path.startswith("out/") for path in found.files)
    signature = found.files["shadow.yaml"].signature
    assert signature is not None
    assert Scanner(str(root), "boot").read("shadow.yaml", signature) == facts.Content(None)


def test_a_link_that_is_swapped_between_scan_and_read_gives_nothing_away(root: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text("secret")
    (root / "a.yaml").write_text("a")
    signature = scan(root).files["a.yaml"].signature
    assert signature is not None
    (root / "a.yaml").unlink()
    (root / "a.yaml").symlink_to("../secret.yaml")
    assert Scanner(str(root), "boot").read("a.yaml", signature) == facts.Content(None)


def test_data_swaps_as_config_maps_do_them(root: Path) -> None:
    for version in ("1", "2"):
        (root / f"..{version}").mkdir()
        (root / f"..{version}/web.yaml").write_text(version)
    (root / "..data").symlink_to("..1")
    (root / "web.yaml").symlink_to("..data/web.yaml")
    before = scan(root)
    assert list(before.files) == ["web.yaml"]
    assert read(root, "web.yaml") == b"1"
    (root / "..new").symlink_to("..2")
    (root / "..new").rename(root / "..data")
    after = scan(root)
    assert after.files["web.yaml"].signature != before.files["web.yaml"].signature
    assert read(root, "web.yaml") == b"2"


def test_a_link_to_a_hidden_directory_within_is_followed_once(root: Path) -> None:
    (root / ".worktrees/abc").mkdir(parents=True)
    (root / ".worktrees/abc/a.yaml").write_text("a")
    (root / "current").symlink_to(".worktrees/abc")
    (root / "zagain").symlink_to("current")
    (root / "loop").symlink_to(".")
    (root / "sub").mkdir()
    (root / "sub/b.yaml").write_text("b")
    (root / "alias").symlink_to("sub")
    assert list(scan(root).files) == ["current/a.yaml", "sub/b.yaml"]
    assert read(root, "current/a.yaml") == b"a"


def test_the_root_itself_may_be_a_link(root: Path, tmp_path: Path) -> None:
    (root / "a.yaml").write_text("a")
    link = tmp_path / "link"
    link.symlink_to(root)
    found = scan(link)
    assert list(found.files) == ["a.yaml"]
    assert read(link, "a.yaml") == b"a"
    assert found.root == scan(root).root


def test_what_is_no_file_is_neither_opened_nor_waited_for(root: Path) -> None:
    os.mkfifo(root / "fifo.yaml")
    os.mknod(root / "tty.yaml", 0o20666, os.makedev(5, 0))
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(root / "socket.yaml"))
    opened: list[bool] = []
    writer = threading.Thread(
        target=lambda: opened.append(os.close(os.open(root / "fifo.yaml", os.O_WRONLY)) is None), daemon=True
    )
    writer.start()
    found = scan(root)
    server.close()
    assert {path: seen.trouble for path, seen in found.files.items()} == dict.fromkeys(
        ("fifo.yaml", "socket.yaml", "tty.yaml"), "not a regular file: not read"
    )
    assert opened == [], "the FIFO was opened"
    reader = os.open(root / "fifo.yaml", os.O_RDONLY | os.O_NONBLOCK)
    writer.join(5)
    os.close(reader)
    assert opened == [True]


def test_content_beyond_the_limit_is_not_read(root: Path) -> None:
    with open(root / "big.yaml", "wb") as file:
        file.truncate(1 << 40)
    data = read(root, "big.yaml")
    assert data is not None
    assert len(data) == (1 << 20) + 1


def test_a_changed_file_is_not_what_was_scanned(root: Path) -> None:
    (root / "a.yaml").write_text("a")
    signature = scan(root).files["a.yaml"].signature
    assert isinstance(signature, Signature)
    (root / "b").write_text("a")
    os.utime(root / "b", ns=(signature.mtime_ns, signature.mtime_ns))
    (root / "b").rename(root / "a.yaml")
    assert scan(root).files["a.yaml"].signature != signature
    assert Scanner(str(root), "boot").read("a.yaml", signature) == facts.Content(None)
    (root / "a.yaml").unlink()
    with pytest.raises(FileNotFoundError):
        Scanner(str(root), "boot").read("a.yaml", signature)


def test_names_that_cannot_be_shown(root: Path) -> None:
    (root / "a\nb.yaml").write_text("x")
    (root / os.fsdecode(b"\xff.yaml")).write_text("x")
    (root / "bad\x1bdir").mkdir()
    (root / "bad\x1bdir/a.yaml").write_text("x")
    found = scan(root)
    assert found.files == {}
    assert set(found.unreadable) == {"a\\u000ab.yaml", "\\udcff.yaml", "bad\\u001bdir"}


def test_too_deep_is_told_and_not_entered(root: Path) -> None:
    deep = root.joinpath(*["d"] * 40)
    deep.mkdir(parents=True)
    (deep / "a.yaml").write_text("x")
    found = scan(root)
    assert found.files == {}
    assert list(found.unreadable.values()) == ["more than 32 directories deep"]


def test_missing_or_not_a_directory(root: Path, tmp_path: Path) -> None:
    assert scan(tmp_path / "no") == facts.Scan(
        None, f"there is no directory {tmp_path}/no: make it with 'mkdir -p {tmp_path}/no'"
    )
    (tmp_path / "file").write_text("x")
    assert scan(tmp_path / "file") == facts.Scan(None, f"{tmp_path}/file is not a directory")


def test_directories_that_may_not_be_read(root: Path, tmp_path: Path) -> None:
    """Root reads everything, so this is another user's look."""
    (root / "closed").mkdir(mode=0o700)
    (root / "closed/a.yaml").write_text("x")
    (root / "b.yaml").write_text("x")
    for path in (tmp_path, *tmp_path.parents):
        if path.stat().st_uid == 0 and path != Path("/") and str(path).startswith("/tmp/"):
            path.chmod(0o755)
    os.seteuid(65534)
    try:
        found = scan(root)
        assert (list(found.files), found.unreadable) == (["b.yaml"], {"closed": "permission denied"})
        os.seteuid(0)
        root.chmod(0o700)
        os.seteuid(65534)
        closed = scan(root)
    finally:
        os.seteuid(0)
    assert (closed.root, closed.trouble) == (None, f"{root}: permission denied")


@pytest.fixture
def mounted(root: Path) -> Iterator[Path]:
    (root / "a.yaml").write_text("under")
    subprocess.run(["mount", "-t", "tmpfs", "none", root], check=True)
    yield root
    subprocess.run(["umount", "-l", root], check=False)


def test_another_mount_is_another_directory(mounted: Path) -> None:
    (mounted / "b.yaml").write_text("over")
    over = scan(mounted)
    subprocess.run(["umount", mounted], check=True)
    under = scan(mounted)
    assert (list(over.files), list(under.files)) == (["b.yaml"], ["a.yaml"])
    assert over.root is not None
    assert under.root is not None
    assert not over.root.same_mount(under.root)


def test_a_mount_below_is_noted(root: Path) -> None:
    (root / "usb").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", root / "usb"], check=True)
    try:
        assert scan(root).mounts == {"usb": (root / "usb").stat().st_dev}
    finally:
        subprocess.run(["umount", root / "usb"], check=True)
    assert scan(root).mounts == {}


def test_no_descriptor_is_left_open(root: Path) -> None:
    (root / "a.yaml").write_text("a")
    (root / "b.yaml").symlink_to("/etc/shadow")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        found = scan(root)
        for path, seen in found.files.items():
            assert seen.signature is not None
            Scanner(str(root), "boot").read(path, seen.signature)
    assert len(os.listdir("/proc/self/fd")) == before
