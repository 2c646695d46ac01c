"""What a container changed, as a layer: put on the same chain it shows the same tree again."""

from __future__ import annotations

import os
import pathlib
import shutil
import stat
import threading

import pytest

from reconciler import errors
from reconciler.testing import graph_tars as tars
from reconciler.testing import graph_trees
from reconciler.testing.graph_suite.place import Place

_BELOW = [
    *tars.nasty(),
    tars.directory(b"etc"),
    *(tars.Member(b"etc/" + name, b"old " + name) for name in (b"kept", b"gone", b"changed", b"mode", b"dated")),
    tars.hard_link(b"etc/kept2", b"etc/kept"),
    tars.Member(b"etc/x", b"x"),
    tars.hard_link(b"etc/y", b"etc/x"),
    tars.directory(b"full/of/files"),
    tars.Member(b"full/of/files/one"),
    tars.Member(b"full/two"),
    tars.Member(b"full/three"),
    tars.Member(b"turns/into", b"a file"),
    tars.Member(b"was-file", b"becomes a directory"),
]


def change(root: pathlib.Path) -> None:
    """All that a container does to a tree."""
    etc = root / "etc"
    (etc / "gone").unlink()
    (etc / "changed").write_text("new changed!")
    (etc / "mode").chmod(0o4711)
    os.chown(root / "bin/noted", 12, 34)
    os.utime(etc / "dated", ns=(5, 1_700_000_000_987_654_321))
    os.setxattr(root / "bin/su2", "user.linked", b"a\0\xff=\n")
    os.setxattr(root / "bin/sg", "security.capability", tars.capability())
    os.link(etc / "kept", root / "kept3")
    (etc / "y").rename(root / "z")
    shutil.rmtree(root / "full")
    (root / "full").mkdir(mode=0o750)
    (root / "full/three").write_text("only this")
    (root / "full/of").mkdir()
    shutil.rmtree(root / "turns")
    (root / "turns").write_text("a file now")
    (root / "was-file").unlink()
    (root / "was-file/deep").mkdir(parents=True)
    os.mknod(root / "zero", 0o20640, os.makedev(1, 5))
    os.mknod(root / "disk", 0o60600, os.makedev(7, 99))
    os.mkfifo(root / "pipe2")
    os.symlink("../etc/changed", root / "was-file/link")
    os.link(root / "was-file/link", root / "link3", follow_symlinks=False)
    (root / os.fsdecode(b"new-\xe9\xff")).write_text("latin")
    (root / os.fsdecode(b"long-\xe9" + b"y" * 150)).write_text("long")
    os.symlink("t" * 180, root / "long-link")
    (root / "old").write_text("now big-owned")
    os.chown(root / "old", 2_000_000_001, 2_000_000_002)
    os.utime(root / "old", ns=(0, -5_500_000_000))
    with (root / "holes2").open("wb") as file:
        file.truncate(3 << 20)
    (root / "locked").chmod(0o711)


class Diffs:
    def again(self, place: Place, chain: tuple[str, ...]) -> dict[str, graph_trees.Node]:
        """The tree of a new snapshot, over the chain and the diff of snapshot ``one``."""
        top = place.layer(b"".join(place.driver.diff("one")), chain[-1] if chain else "")
        return graph_trees.describe(place.driver.prepare("again", (*chain, top)))

    def test_a_diff_makes_the_same_tree_again(self, place: Place) -> None:
        chain = place.stack(_BELOW, [tars.Member(b"upper/most", b"of two layers")])
        root = pathlib.Path(place.driver.prepare("one", chain))
        change(root)
        assert graph_trees.differences(graph_trees.describe(str(root)), self.again(place, chain)) == []

    def test_a_diff_of_a_diff(self, place: Place) -> None:
        chain = place.stack(_BELOW)
        root = pathlib.Path(place.driver.prepare("one", chain))
        change(root)
        top = place.layer(b"".join(place.driver.diff("one")), chain[-1])
        place.driver.remove("one")
        root = pathlib.Path(place.driver.prepare("one", (*chain, top)))
        shutil.rmtree(root / "full")
        shutil.rmtree(root / "was-file")
        (root / "was-file").write_text("a file again")
        (root / "etc/gone").write_text("back")
        (root / "kept3").unlink()
        assert graph_trees.differences(graph_trees.describe(str(root)), self.again(place, (*chain, top))) == []

    def test_a_diff_over_nothing(self, place: Place) -> None:
        root = pathlib.Path(place.driver.prepare("one", ()))
        (root / "a").write_text("1")
        root.chmod(0o711)
        assert graph_trees.differences(graph_trees.describe(str(root)), self.again(place, ())) == []

    def test_content_that_changed_under_the_same_size_and_time(self, place: Place) -> None:
        chain = place.stack([tars.Member(b"a", b"1")])
        root = pathlib.Path(place.driver.prepare("one", chain))
        before = (root / "a").stat()
        (root / "a").write_text("2")
        os.utime(root / "a", ns=(before.st_atime_ns, before.st_mtime_ns))
        self.again(place, chain)
        assert (pathlib.Path(place.driver.rootfs("again")) / "a").read_text() == "2"

    def test_what_is_unchanged_is_left_out(self, place: Place) -> None:
        chain = place.stack(_BELOW)
        root = pathlib.Path(place.driver.prepare("one", chain))
        (root / "new").write_text("n")
        archive = b"".join(place.driver.diff("one"))
        assert len(archive) < 8192
        assert b"etc/kept" not in archive

    def test_files_that_the_host_placed_are_left_out_while_they_are_empty(self, place: Place) -> None:
        chain = place.stack([tars.directory(b"etc")])
        root = pathlib.Path(place.driver.prepare("one", chain))
        for name in ("hosts", "hostname", "other"):
            (root / "etc" / name).touch()
        (root / "etc/hostname").write_text("own")
        archive = b"".join(place.driver.diff("one", (b"etc/hosts", b"etc/hostname")))
        place.driver.prepare("again", (*chain, place.layer(archive, chain[-1])))
        assert sorted(os.listdir(pathlib.Path(place.driver.rootfs("again")) / "etc")) == ["hostname", "other"]

    def test_a_tree_that_changes_meanwhile(self, place: Place) -> None:
        """Each file is there whole or not at all, and the archive is a layer."""
        chain = place.stack([tars.Member(b"old/a", b"1")])
        root = pathlib.Path(place.driver.prepare("one", chain))
        for number in range(50):
            (root / f"dir{number}").mkdir()
            (root / f"dir{number}/file").write_text("here")
            os.link(root / f"dir{number}/file", root / f"dir{number}/second")
        stop = threading.Event()

        def churn() -> None:
            number = 0
            while not stop.is_set():
                number = (number + 7) % 50
                shutil.rmtree(root / f"dir{number}")
                (root / f"dir{number}").mkdir()
                (root / f"dir{number}/aside").write_text("here")
                (root / f"dir{number}/aside").rename(root / f"dir{number}/file")

        thread = threading.Thread(target=churn)
        thread.start()
        try:
            archives = [b"".join(place.driver.diff("one")) for _ in range(5)]
        finally:
            stop.set()
            thread.join()
        for number, archive in enumerate(archives):
            again = pathlib.Path(place.driver.prepare(f"again{number}", (*chain, place.layer(archive, chain[-1]))))
            assert (again / "old/a").read_text() == "1"
            assert {path.read_text() for path in again.glob("dir*/[fs]*")} <= {"here"}

    def test_a_name_that_goes_while_it_is_looked_at(self, place: Place) -> None:
        """Its other names hold the file then."""
        chain = place.stack([tars.directory(b"d"), tars.Member(b"d/x", b"old"), tars.hard_link(b"d/y", b"d/x")])
        root = pathlib.Path(place.driver.prepare("one", chain))
        with (root / "d/x").open("r+") as file:
            file.write("new")
        os.link(root / "d/x", root / "d/z")
        os.utime(root / "d", ns=(0, tars.directory(b"d").mtime))
        archive = []
        for piece in place.driver.diff("one"):
            archive.append(piece)
            if b"d/\0" in piece:
                (root / "d/x").unlink(missing_ok=True)
        rootfs = place.driver.prepare("again", (*chain, place.layer(b"".join(archive), chain[-1])))
        assert (pathlib.Path(rootfs) / "d/z").read_text() == "new"

    def test_sockets_are_left_out(self, place: Place) -> None:
        root = pathlib.Path(place.driver.prepare("one", place.stack([tars.Member(b"a")])))
        os.mknod(root / "s", stat.S_IFSOCK | 0o755)
        assert b"\0s\0" not in b"\0" + b"".join(place.driver.diff("one"))

    def test_a_name_that_would_be_a_removal_is_refused(self, place: Place) -> None:
        root = pathlib.Path(place.driver.prepare("one", place.stack([tars.Member(b"a")])))
        (root / ".wh.a").touch()
        with pytest.raises(errors.Permanent, match=r"\.wh\.a"):
            list(place.driver.diff("one"))

    def test_there_is_no_diff_of_what_is_not_there(self, place: Place) -> None:
        with pytest.raises(errors.NotFound):
            place.driver.diff("nothing")
