"""The writable layers of containers, and what opening a graph does."""

from __future__ import annotations

import os
import pathlib
import resource

import pytest

from reconciler import errors
from reconciler.testing import graph_tars as tars
from reconciler.testing.graph_suite.place import Place


class Snapshots:
    def test_a_snapshot_is_writable_and_keeps_what_is_written(self, place: Place) -> None:
        chain = place.stack([tars.Member(b"a", b"1")])
        rootfs = pathlib.Path(place.driver.prepare("one", chain))
        (rootfs / "b").write_text("mine")
        (rootfs / "a").unlink()
        assert place.driver.prepare("one", chain) == str(rootfs)
        place.open()
        assert place.driver.rootfs("one") == str(rootfs)
        assert sorted(os.listdir(place.driver.prepare("one", chain))) == ["b"]
        assert place.names([tars.Member(b"a", b"1")]) == {"a"}

    def test_snapshots_are_apart_from_each_other(self, place: Place) -> None:
        chain = place.stack([tars.Member(b"a", b"1")])
        one, two = (pathlib.Path(place.driver.prepare(id, chain)) for id in ("one", "two"))
        (one / "a").write_text("changed")
        assert (two / "a").read_text() == "1"
        assert place.driver.snapshots() == ("one", "two")
        assert place.driver.mounts() == {"one", "two"}
        place.driver.remove("one")
        place.driver.remove("one")
        assert place.driver.snapshots() == ("two",)
        assert place.leftovers() == []

    def test_directories_deeper_than_files_can_be_open(self, place: Place) -> None:
        """A container can make such; they are measured, and go with it."""
        rootfs = place.driver.prepare("deep", place.stack([tars.Member(b"a")]))
        here = os.open(rootfs, os.O_RDONLY)
        for _ in range(600):
            os.mkdir("d", dir_fd=here)
            below = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        os.close(here)
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (300, limit[1]))
        try:
            assert place.driver.usage("deep") >= 0
            place.driver.remove("deep")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limit)
        assert place.leftovers() == []

    def test_a_snapshot_over_nothing(self, place: Place) -> None:
        rootfs = pathlib.Path(place.driver.prepare("empty", ()))
        assert os.listdir(rootfs) == []
        (rootfs / "x").touch()

    def test_a_snapshot_is_over_one_chain(self, place: Place) -> None:
        chain = place.stack([tars.Member(b"a")], [tars.Member(b"b")])
        place.driver.prepare("one", chain)
        with pytest.raises(errors.Conflict):
            place.driver.prepare("one", chain[:1])

    @pytest.mark.parametrize("id", ["", "..", "a/b", ".x", "a b", "x" * 200, "a\n"])
    def test_ids_are_plain_names(self, place: Place, id: str) -> None:
        for action in (place.driver.rootfs, place.driver.mounted, place.driver.remove, place.driver.unmount):
            with pytest.raises(errors.Invalid):
                action(id)

    def test_what_is_not_there_is_not_mounted(self, place: Place) -> None:
        assert not place.driver.mounted("nothing")
        place.driver.unmount("nothing")
        with pytest.raises(errors.NotFound):
            place.driver.restore_mount("nothing", os.getpid())

    def test_the_store_is_closed_to_others(self, place: Place) -> None:
        assert place.root.stat().st_mode & 0o777 == 0o700

    def test_the_probe_says_driver_and_file_system(self, place: Place) -> None:
        assert place.driver.probe().startswith(f"{place.driver.name} on ")
        assert place.leftovers() == []

    def test_opening_removes_what_was_half_made(self, place: Place) -> None:
        chain = place.stack([tars.Member(b"a")])
        (place.root / "tmp" / "layer-0").mkdir()
        (place.root / "tmp" / "layer-0" / "x").touch()
        (place.root / "tmp" / "blob-0").touch()
        (place.root / "layers" / "aaaaaaaaaaaaaaaa" / "deep").mkdir(parents=True)
        place.open()
        assert place.leftovers() == []
        assert not (place.root / "layers" / "aaaaaaaaaaaaaaaa").exists()
        assert place.graph.layers() == chain
        assert "a" in os.listdir(place.driver.prepare("x", chain))
