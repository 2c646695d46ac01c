"""What every graph finds of damage, and mends."""

from __future__ import annotations

import os
import pathlib
import shutil
from collections.abc import Callable

import pytest

from reconciler import errors
from reconciler.testing import graph_tars as tars
from reconciler.testing import graph_trees, images
from reconciler.testing.graph_suite.place import Place

LOWER = tars.archive([
    tars.directory(b"bin"), tars.Member(b"bin/su", b"su", mode=0o4755), tars.Member(b"bin/tool", b"x" * 300_000),
    tars.hard_link(b"bin/same", b"bin/tool"), tars.symlink(b"link", b"bin/tool"),
    tars.Member(b"capable", b"c", xattrs={"security.capability": tars.capability()}), tars.directory(b"empty"),
])  # fmt: skip
UPPER = tars.archive([tars.Member(b"bin/new", b"new"), tars.whiteout(b"bin/su"), tars.opaque(b"empty")])


def _flip(tree: pathlib.Path) -> None:
    file = tree / "bin" / "tool"
    before = file.stat()
    with file.open("r+b") as opened:
        opened.seek(200_000)
        opened.write(b"y")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def _replace(tree: pathlib.Path) -> None:
    (tree / "empty").rmdir()
    (tree / "empty").write_bytes(b"")


def _unlink_one(tree: pathlib.Path) -> None:
    """The same content and times, in a file of its own."""
    (tree / "bin" / "same").unlink()
    shutil.copy2(tree / "bin" / "tool", tree / "bin" / "same")


def _relink(tree: pathlib.Path) -> None:
    before = (tree / "link").lstat()
    (tree / "link").unlink()
    (tree / "link").symlink_to("bin/toil")
    os.utime(tree / "link", ns=(before.st_atime_ns, before.st_mtime_ns), follow_symlinks=False)


DAMAGE: dict[str, tuple[Callable[[pathlib.Path], object], str]] = {
    "content": (_flip, "'bin/tool' has other content"),
    "size": (lambda tree: (tree / "bin" / "su").write_bytes(b"longer"), "'bin/su' has size 6, not 2"),
    "mode": (lambda tree: (tree / "bin" / "su").chmod(0o755), "'bin/su' has mode 0755, not 4755"),
    "owner": (lambda tree: os.chown(tree / "empty", 7, 8), "'empty' has owner 7:8, not 0:0"),
    "time": (lambda tree: os.utime(tree / "capable", ns=(0, 1)), "'capable' has time 1, not"),
    "xattr": (lambda tree: os.removexattr(tree / "capable", "security.capability"), "'capable' has other extended"),
    "missing": (lambda tree: (tree / "capable").unlink(), "'capable' is missing"),
    "extra": (lambda tree: (tree / "empty" / "more").write_bytes(b""), "'empty/more' is not of the layer"),
    "kind": (_replace, "'empty' is a file, not a directory"),
    "hard link": (_unlink_one, "is hard-linked otherwise"),
    "symbolic link": (_relink, "'link' leads elsewhere"),
    "all": (lambda tree: shutil.rmtree(tree), "its tree is missing"),
}


class Checking:
    def _made(self, place: Place) -> tuple[list[str], list[str], list[pathlib.Path]]:
        """Chain ids, blobs and trees of two layers."""
        before = set(os.listdir(place.root / "layers"))
        lower = place.layer(LOWER)
        one = set(os.listdir(place.root / "layers")) - before
        upper = place.layer(UPPER, lower)
        two = set(os.listdir(place.root / "layers")) - before - one
        blobs = [images.digest(images.packed(each, "gzip")) for each in (LOWER, UPPER)]
        return [lower, upper], blobs, [place.root / "layers" / next(iter(names)) for names in (one, two)]

    def test_what_is_whole_is_found_so(self, place: Place) -> None:
        chain, blobs, _ = self._made(place)
        assert [place.graph.check_layer(*each) for each in zip(chain, blobs, strict=True)] == [[], []]
        assert [place.graph.check_blob(blob) for blob in blobs] == ["", ""]
        assert place.graph.unfinished() == ()

    @pytest.mark.parametrize("name", DAMAGE)
    def test_damage_of_a_layer_is_found_and_mended(self, place: Place, name: str) -> None:
        damage, words = DAMAGE[name]
        chain, blobs, trees = self._made(place)
        before = graph_trees.describe(str(trees[0]))
        damage(trees[0])
        found = place.graph.check_layer(chain[0], blobs[0])
        assert any(words in each for each in found), found
        place.driver.renew_layer(chain[0], blobs[0])
        assert place.graph.check_layer(chain[0], blobs[0]) == []
        assert graph_trees.differences(graph_trees.describe(str(trees[0])), before) == []
        assert place.leftovers() == []

    def test_damage_of_an_upper_layer_is_found_and_mended(self, place: Place) -> None:
        """Whiteouts and opaque directories too."""
        chain, blobs, trees = self._made(place)
        (trees[1] / "bin" / "new").write_bytes(b"old")
        assert any("'bin/new'" in each for each in place.graph.check_layer(chain[1], blobs[1]))
        place.driver.renew_layer(chain[1], blobs[1])
        assert place.graph.check_layer(chain[1], blobs[1]) == []
        assert place.graph.check_layer(chain[0], blobs[0]) == []

    @pytest.mark.parametrize(("content", "words"), [(b"other", "its content is sha256:"), (None, "it is missing")])
    def test_damage_of_a_blob_is_found(self, place: Place, content: bytes | None, words: str) -> None:
        digest = place.put(b"right")
        path = place.root / "blobs" / digest.replace(":", "/")
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
        assert words in place.graph.check_blob(digest)

    def test_a_blob_is_written_over_a_damaged_one(self, place: Place) -> None:
        digest = place.put(b"right")
        (place.root / "blobs" / digest.replace(":", "/")).write_bytes(b"wrong")
        place.put(b"right")
        assert place.graph.check_blob(digest) == ""

    def test_a_layer_that_is_not_here(self, place: Place) -> None:
        with pytest.raises(errors.NotFound):
            place.graph.check_layer(images.digest(b"absent"), images.digest(b"absent"))

    def test_a_record_that_is_damaged_or_anothers(self, place: Place) -> None:
        chain, blobs, _ = self._made(place)
        records = [place.root / "chains" / each.replace(":", "-") for each in chain]
        text = records[1].read_bytes()
        records[1].write_bytes(b"{")
        assert "is damaged" in place.graph.check_layer(chain[1], blobs[1])[0]
        records[1].write_bytes(records[0].read_bytes())
        with pytest.raises(errors.Permanent, match="not its own"):
            place.graph.check_layer(chain[1], blobs[1])
        records[1].write_bytes(text)
        assert place.graph.check_layer(chain[1], blobs[1]) == []

    def test_what_a_container_runs_on_is_not_pulled_away(self, place: Place) -> None:
        chain, blobs, _ = self._made(place)
        rootfs = pathlib.Path(place.driver.prepare("x", tuple(chain)))
        if place.name == "overlay":
            with pytest.raises(errors.Conflict, match=r"is mounted: x$"):
                place.driver.renew_layer(chain[0], blobs[0])
            place.driver.unmount("x")
        place.driver.renew_layer(chain[0], blobs[0])
        assert place.driver.prepare("x", tuple(chain)) == str(rootfs)
        assert (rootfs / "bin" / "new").read_bytes() == b"new"
        assert not (rootfs / "bin" / "su").exists()
