"""What every graph and its driver must do. A driver's test subclasses ``GraphSuite`` and gives it the fixture
``place``."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence

import pytest

from reconciler import errors
from reconciler.drivers.graph import base, chains
from reconciler.testing import graph_tars as tars
from reconciler.testing import graph_trees, images

GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"


class Place:
    """A graph with its driver, and how to open it once more as after a restart."""

    def __init__(self, root: pathlib.Path, driver: str, *options: str) -> None:
        self.root, self.name, self.options = root, driver, options
        self.open()

    def open(self) -> None:
        from reconciler.drivers.graph import opening, options

        self.graph: base.Graph
        self.driver: base.GraphDriver
        self.graph, self.driver = opening.open_graph(self.root, self.name, options.parse(self.options))

    def close(self) -> None:
        """Removes every snapshot, so that nothing stays mounted."""
        for id in self.driver.snapshots():
            self.driver.remove(id)

    def put(self, data: bytes) -> str:
        """Stores a blob; returns its digest."""
        digest = images.digest(data)
        writer = self.graph.write_blob(digest, len(data))
        writer.write(data)
        writer.commit()
        return digest

    def layer(self, archive: bytes, parent: str = "", packing: images.Packing = "gzip") -> str:
        """Unpacks a layer; returns its chain id."""
        blob = self.put(images.packed(archive, packing))
        diff_id = images.digest(archive)
        chain = chains.chain_id(parent, diff_id)
        self.graph.unpack_layer(chain, parent, diff_id, blob, GZIP)
        self.graph.settle_layer(chain)
        return chain

    def stack(self, *layers: Sequence[tars.Member]) -> tuple[str, ...]:
        """Unpacks layers given as members, bottom first; returns the chain."""
        found: list[str] = []
        for members in layers:
            found.append(self.layer(tars.archive(members), found[-1] if found else ""))
        return tuple(found)

    def show(self, *layers: Sequence[tars.Member]) -> dict[str, graph_trees.Node]:
        """The tree of a snapshot over the layers."""
        rootfs = self.driver.prepare("show", self.stack(*layers))
        try:
            return graph_trees.describe(rootfs)
        finally:
            self.driver.remove("show")

    def names(self, *layers: Sequence[tars.Member]) -> set[str]:
        return set(self.show(*layers)) - {"."}

    def leftovers(self) -> list[str]:
        return os.listdir(self.root / "tmp")


class GraphSuite:
    """Blobs, layers, whiteouts and snapshots."""

    # blobs

    def test_a_blob_is_there_when_it_is_committed_and_not_before(self, place: Place) -> None:
        digest = images.digest(b"content")
        writer = place.graph.write_blob(digest, 7)
        writer.write(b"cont")
        assert writer.offset == 4
        assert not place.graph.has_blob(digest)
        writer.write(memoryview(b"ent"))
        writer.commit()
        assert place.graph.has_blob(digest)
        assert place.graph.read_blob(digest, 7) == b"content"
        with place.graph.open_blob(digest) as file:
            assert (file.read(3), file.read()) == (b"con", b"tent")
        assert place.graph.blobs() == (digest,)
        place.graph.remove_blob(digest)
        place.graph.remove_blob(digest)
        assert place.graph.blobs() == ()

    @pytest.mark.parametrize("data", [b"contenu", b"conten"])
    def test_a_blob_that_is_not_what_it_should_be_leaves_nothing(self, place: Place, data: bytes) -> None:
        digest = images.digest(b"content")
        writer = place.graph.write_blob(digest, 7)
        writer.write(data)
        with pytest.raises(errors.Permanent):
            writer.commit()
        assert place.graph.blobs() == ()
        assert place.leftovers() == []

    def test_a_blob_that_grows_too_long_is_stopped_at_once(self, place: Place) -> None:
        writer = place.graph.write_blob(images.digest(b"content"), 7)
        with pytest.raises(errors.Permanent, match="longer than the 7 bytes"):
            writer.write(b"content and more")
        assert place.leftovers() == []

    def test_an_aborted_blob_leaves_nothing(self, place: Place) -> None:
        writer = place.graph.write_blob(images.digest(b"content"), -1)
        writer.write(b"con")
        writer.abort()
        writer.abort()
        assert place.leftovers() == []

    @pytest.mark.parametrize(
        "digest", ["sha256:../x", "sha256:" + "0" * 63, "sha256:" + "G" * 64, "md5:" + "0" * 32, "../../etc", ""]
    )
    def test_a_malformed_digest_makes_no_path(self, place: Place, digest: str) -> None:
        for action in (
            lambda: place.graph.write_blob(digest, 1),
            lambda: place.graph.has_blob(digest),
            lambda: place.graph.read_blob(digest, 1),
            lambda: place.graph.open_blob(digest),
            lambda: place.graph.remove_blob(digest),
            lambda: place.graph.has_layer(digest),
            lambda: place.graph.remove_layer(digest),
            lambda: place.graph.unpack_layer(digest, "", digest, digest, GZIP),
        ):
            with pytest.raises(errors.Invalid):
                action()

    def test_reading_has_a_limit(self, place: Place) -> None:
        digest = place.put(b"0123456789")
        with pytest.raises(errors.Permanent):
            place.graph.read_blob(digest, 9)
        with pytest.raises(errors.NotFound):
            place.graph.read_blob(images.digest(b"another"), 9)
        with pytest.raises(errors.NotFound):
            place.graph.open_blob(images.digest(b"another"))

    # layers

    def test_everything_of_a_file_is_kept(self, place: Place) -> None:
        found = place.show(tars.nasty())
        assert found["bin/su"].mode == 0o4755
        assert found["bin/sg"].mode == 0o2755
        assert found["bin/sg"].gid == 42
        assert found["bin/ping"].xattrs == {"security.capability": tars.capability()}
        assert found["bin/noted"].xattrs == {"user.note": b"a\0b=\n\xff"}
        assert found["tmp"].mode == 0o1777
        assert (found["tmp"].uid, found["tmp"].gid, found["tmp"].xattrs) == (7, 8, {"user.dir": b"d"})
        assert found["bin/su"].mtime == 1_400_000_001_000_000_001
        assert found["bin"].mtime == 1_400_000_000_123_456_789
        assert found["old"].mtime == -5_000_000_000
        assert found["big-owner"].uid == 2_000_000_000
        assert (found["null"].type, found["null"].content, found["null"].mode) == ("c", "1:3", 0o666)
        assert (found["loop"].type, found["loop"].content) == ("b", "7:9")
        assert (found["pipe"].type, found["pipe"].mode) == ("p", 0o600)
        assert (found["locked"].mode, found["locked/in"].mode) == (0, 0)
        assert (found["setgid"].mode, found["setgid/child"].gid) == (0o2775, 0)

    def test_links_stay_links(self, place: Place) -> None:
        found = place.show(tars.nasty())
        assert found["bin/su"].links == ("bin/su", "bin/su2", "su3")
        assert found["link"].links == ("link", "link2")
        assert (found["link"].type, found["link"].content) == ("l", "/etc/passwd")
        assert found["deep"].content == "../../../../etc"

    def test_names_are_bytes(self, place: Place) -> None:
        names = place.names(tars.nasty())
        assert os.fsdecode(b"latin-\xe9\xff") in names
        assert os.fsdecode(b"pax-\xe9" + b"x" * 120) in names
        assert "snow☃" in names

    def test_holes_stay_holes(self, place: Place) -> None:
        chain = place.stack([tars.sparse(b"s", [(0, b"begin"), (1 << 24, b"end")], (1 << 24) + 99)])
        rootfs = place.driver.prepare("sparse", chain)
        path = os.path.join(rootfs, "s")
        assert os.stat(path).st_size == (1 << 24) + 99
        assert os.stat(path).st_blocks * 512 < 1 << 20
        with open(path, "rb") as file:
            assert file.read(6) == b"begin\0"
            file.seek(1 << 24)
            assert file.read(4) == b"end\0"

    def test_a_directory_that_no_member_makes_is_plain(self, place: Place) -> None:
        found = place.show(tars.nasty())
        assert (found["implied/by"].mode, found["implied/by"].uid) == (0o755, 0)

    @pytest.mark.parametrize("packing", ["gzip", "zstd", "plain"])
    def test_packings(self, place: Place, packing: images.Packing) -> None:
        chain = place.layer(tars.archive([tars.Member(b"a", b"x" * 300_000)]), packing=packing)
        rootfs = place.driver.prepare("packed", (chain,))
        assert os.stat(os.path.join(rootfs, "a")).st_size == 300_000

    def test_unpacking_again_has_no_effect_and_needs_no_blob(self, place: Place) -> None:
        archive = tars.archive([tars.Member(b"a", b"12345")])
        chain = place.layer(archive)
        for digest in place.graph.blobs():
            place.graph.remove_blob(digest)
        blob = images.digest(b"gone")
        assert place.graph.unpack_layer(chain, "", images.digest(archive), blob, GZIP) == 5
        assert place.graph.layers() == (chain,)

    def test_a_layer_is_there_once_it_is_settled_and_not_before(self, place: Place) -> None:
        lower, upper = tars.archive([tars.Member(b"a", b"1")]), tars.archive([tars.Member(b"b", b"22")])
        chain = chains.chain((images.digest(lower), images.digest(upper)))
        for index, archive in enumerate((lower, upper)):
            blob = place.put(images.packed(archive, "gzip"))
            parent = chain[0] if index else ""
            place.graph.unpack_layer(chain[index], parent, images.digest(archive), blob, GZIP)
        assert place.graph.layers() == ()
        with pytest.raises(errors.NotFound):
            place.driver.prepare("early", chain)
        for chain_id in chain:
            place.graph.settle_layer(chain_id)
            place.graph.settle_layer(chain_id)
        assert set(place.graph.layers()) == set(chain)
        rootfs = place.driver.prepare("late", chain)
        assert sorted(os.listdir(rootfs)) == ["a", "b"]

    def test_a_layer_that_was_not_unpacked_cannot_be_settled(self, place: Place) -> None:
        with pytest.raises(errors.NotFound):
            place.graph.settle_layer(images.digest(b"absent"))

    def test_content_with_another_diff_id_is_not_kept(self, place: Place) -> None:
        blob = place.put(images.packed(tars.archive([tars.Member(b"a")]), "gzip"))
        wrong = images.digest(b"something else")
        with pytest.raises(errors.Permanent, match="does not match its diff id"):
            place.graph.unpack_layer(wrong, "", wrong, blob, GZIP)
        assert place.graph.layers() == ()
        assert place.leftovers() == []

    def test_bytes_behind_the_end_of_the_archive_count_for_the_diff_id(self, place: Place) -> None:
        archive = tars.archive([tars.Member(b"a")]) + bytes(10240)
        assert place.graph.has_layer(place.layer(archive))

    def test_a_chain_id_that_is_made_of_something_else_is_refused(self, place: Place) -> None:
        archive = tars.archive([tars.Member(b"a")])
        blob = place.put(archive)
        with pytest.raises(errors.Invalid):
            place.graph.unpack_layer(images.digest(b"x"), "", images.digest(archive), blob, GZIP)

    def test_a_layer_without_its_parent_or_blob_is_refused(self, place: Place) -> None:
        archive = tars.archive([tars.Member(b"a")])
        diff_id, absent = images.digest(archive), images.digest(b"absent")
        with pytest.raises(errors.NotFound):
            place.graph.unpack_layer(diff_id, "", diff_id, absent, GZIP)
        blob = place.put(archive)
        with pytest.raises(errors.NotFound):
            place.graph.unpack_layer(chains.chain_id(absent, diff_id), absent, diff_id, blob, GZIP)
        assert place.leftovers() == []

    def test_layers_are_removed(self, place: Place) -> None:
        lower, upper = place.stack([tars.Member(b"a")], [tars.Member(b"b")])
        place.graph.remove_layer(upper)
        place.graph.remove_layer(upper)
        assert place.graph.layers() == (lower,)
        assert place.leftovers() == []
        with pytest.raises(errors.NotFound):
            place.driver.prepare("x", (lower, upper))

    # what layers do to one another

    def test_an_upper_layer_replaces(self, place: Place) -> None:
        found = place.show(
            [tars.Member(b"a", b"1"), tars.directory(b"d", 0o700), tars.Member(b"d/x"), tars.Member(b"f")],
            [tars.Member(b"a", b"22"), tars.Member(b"d/y"), tars.directory(b"f"), tars.Member(b"f/z")],
        )
        assert set(found) == {".", "a", "d", "d/x", "d/y", "f", "f/z"}
        assert found["a"].content == images.digest(b"22")[7:]
        assert found["d"].mode == 0o700

    def test_a_directory_known_from_below_keeps_what_it_had(self, place: Place) -> None:
        given = tars.directory(b"d", 0o1750, uid=5, gid=6, mtime=1_300_000_000_000_000_007, xattrs={"user.k": b"v"})
        found = place.show([given], [tars.Member(b"d/new")])["d"]
        assert (found.mode, found.uid, found.gid, found.mtime) == (0o1750, 5, 6, 1_300_000_000_000_000_007)
        assert found.xattrs == {"user.k": b"v"}

    def test_a_directory_named_again_has_only_what_is_said_then(self, place: Place) -> None:
        given = tars.directory(b"d", 0o1750, uid=5, gid=6, xattrs={"user.k": b"v"})
        found = place.show([given, tars.Member(b"d/a")], [tars.directory(b"d", 0o711)])
        assert (found["d"].mode, found["d"].uid, found["d"].xattrs) == (0o711, 0, {})
        assert "d/a" in found

    def test_the_root_is_as_the_image_says(self, place: Place) -> None:
        root = tars.directory(b".", 0o751, uid=3, gid=4)
        found = place.show([root], [tars.Member(b"a")])["."]
        assert (found.mode, found.uid, found.gid) == (0o751, 3, 4)

    def test_a_whiteout_takes_away(self, place: Place) -> None:
        lower = [
            tars.Member(b"f"),
            tars.directory(b"d"),
            tars.Member(b"d/x"),
            tars.symlink(b"l", b"d"),
            tars.Member(b"k"),
        ]
        assert place.names(lower, [tars.whiteout(b"f"), tars.whiteout(b"d"), tars.whiteout(b"l")]) == {"k"}

    def test_a_whiteout_spares_what_its_own_layer_brings(self, place: Place) -> None:
        lower = [tars.Member(b"f", b"old"), tars.directory(b"d"), tars.Member(b"d/x"), tars.Member(b"g", b"old")]
        for upper in (
            [
                tars.Member(b"f", b"new"),
                tars.whiteout(b"f"),
                tars.directory(b"d"),
                tars.Member(b"d/y"),
                tars.whiteout(b"d"),
            ],
            [
                tars.whiteout(b"f"),
                tars.Member(b"f", b"new"),
                tars.whiteout(b"d"),
                tars.directory(b"d"),
                tars.Member(b"d/y"),
            ],
            [tars.whiteout(b"f"), tars.Member(b"f", b"new"), tars.whiteout(b"d"), tars.Member(b"d/y")],
        ):
            found = place.show(lower, upper)
            assert set(found) == {".", "f", "d", "d/y", "g"}
            assert found["f"].content == images.digest(b"new")[7:]

    def test_an_opaque_directory_hides_what_was_there(self, place: Place) -> None:
        lower = [
            tars.directory(b"d"),
            tars.Member(b"d/x"),
            tars.directory(b"d/s"),
            tars.Member(b"d/s/y"),
            tars.Member(b"e"),
        ]
        for upper in (
            [tars.directory(b"d"), tars.opaque(b"d"), tars.Member(b"d/new"), tars.Member(b"d/s/new")],
            [tars.Member(b"d/new"), tars.Member(b"d/s/new"), tars.opaque(b"d")],
            [tars.opaque(b"d"), tars.Member(b"d/new"), tars.Member(b"d/s/new")],
        ):
            assert place.names(lower, upper) == {"d", "d/new", "d/s", "d/s/new", "e"}

    def test_an_opaque_root(self, place: Place) -> None:
        lower = [tars.Member(b"a"), tars.directory(b"d"), tars.Member(b"d/x")]
        assert place.names(lower, [tars.Member(b".wh..wh..opq"), tars.Member(b"b")]) == {"b"}

    def test_whiteouts_of_nothing_make_nothing(self, place: Place) -> None:
        upper = [tars.whiteout(b"no"), tars.whiteout(b"not/here"), tars.opaque(b"nor/there"), tars.opaque(b"d")]
        assert place.names([tars.directory(b"d")], upper) == {"d"}
        assert place.names(upper) == set()

    def test_whiteouts_of_the_layer_below_do_not_come_back(self, place: Place) -> None:
        lower = [tars.directory(b"d"), tars.Member(b"d/x"), tars.Member(b"f")]
        middle = [tars.opaque(b"d"), tars.whiteout(b"f")]
        assert place.names(lower, middle, [tars.Member(b"d/y"), tars.Member(b"g")]) == {"d", "d/y", "g"}
        assert place.names(lower, [tars.whiteout(b"d"), tars.whiteout(b"f")], [tars.Member(b"d/y")]) == {"d", "d/y"}

    def test_a_file_instead_of_a_directory_and_back(self, place: Place) -> None:
        lower = [tars.directory(b"d"), tars.Member(b"d/x")]
        assert place.names(lower, [tars.Member(b"d", b"file")]) == {"d"}
        assert place.names(lower, [tars.Member(b"d", b"file"), tars.directory(b"d"), tars.Member(b"d/y")]) == {
            "d",
            "d/y",
        }
        assert place.names(lower, [tars.symlink(b"d", b"/tmp")]) == {"d"}

    def test_marks_that_other_tools_leave(self, place: Place) -> None:
        device = tars.Member(b"f", kind=b"3", device=(0, 0))
        assert place.names([tars.Member(b"f"), tars.Member(b"g")], [device, tars.Member(b".wh..wh.plnk")]) == {"g"}

    def test_a_link_of_a_layer_below_leads(self, place: Place) -> None:
        lower = [tars.directory(b"usr/lib"), tars.symlink(b"lib", b"/usr/lib"), tars.symlink(b"up", b"../../usr/./lib")]
        found = place.show(lower, [tars.Member(b"lib/one"), tars.Member(b"up/two"), tars.whiteout(b"lib/none")])
        assert set(found) == {".", "usr", "usr/lib", "usr/lib/one", "usr/lib/two", "lib", "up"}
        assert found["lib"].type == "l"

    def test_a_hard_link_to_a_file_below(self, place: Place) -> None:
        found = place.show([tars.Member(b"a", b"1", mode=0o711)], [tars.hard_link(b"b", b"a")])
        assert found["a"].links == ("a", "b")
        assert found["b"].mode == 0o711

    # what archives try

    @pytest.mark.parametrize(
        "member",
        [
            tars.Member(b"../../../escaped", b"x"),
            tars.Member(b"/escaped", b"x"),
            tars.Member(b"a/../../escaped", b"x"),
            tars.Member(b"./.././escaped", b"x"),
        ],
    )
    def test_names_cannot_leave_the_tree(self, place: Place, member: tars.Member) -> None:
        assert place.names([member]) == {"escaped"}

    def test_links_cannot_lead_out(self, place: Place, tmp_path: pathlib.Path) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "victim").write_text("safe")
        target = os.fsencode(outside)
        up = b"../" * 40 + target[1:]
        for link in (target, up):
            chain = place.stack(
                [tars.directory(target[1:]), tars.symlink(b"l", link)],
                [
                    tars.Member(b"l/victim", b"overwritten"),
                    tars.whiteout(b"l/victim"),
                    tars.opaque(b"l"),
                    tars.Member(b"l/new", b"x"),
                    tars.symlink(b"m", b"l/new"),
                    tars.Member(b"m", b"replaces the link"),
                ],
            )
            place.driver.prepare("x", chain)
            place.driver.remove("x")
            assert sorted(os.listdir(outside)) == ["victim"]
            assert (outside / "victim").read_text() == "safe"

    def test_hard_links_cannot_lead_out(self, place: Place) -> None:
        for target in (b"/etc/passwd", b"../../../../../../etc/passwd", b"l/passwd"):
            archive = tars.archive([tars.symlink(b"l", b"/etc"), tars.hard_link(b"stolen", target)])
            with pytest.raises(errors.Permanent, match="does not exist"):
                place.layer(archive)

    def test_a_loop_of_links_ends(self, place: Place) -> None:
        members = [tars.symlink(b"a", b"b"), tars.symlink(b"b", b"a"), tars.Member(b"a/x")]
        with pytest.raises(errors.Permanent, match="more than 40 links"):
            place.layer(tars.archive(members))

    def test_long_chains_of_links_and_directories_are_contained(self, place: Place) -> None:
        deep = b"/".join([b"d" * 200] * 15)
        members = [tars.directory(deep), tars.symlink(b"l", deep), tars.Member(b"l/" + b"../" * 200 + b"x", b"1")]
        assert "x" in place.names(members)
        with pytest.raises(errors.Permanent, match="directories deep"):
            place.layer(tars.archive([tars.directory(b"/".join([b"d"] * 600))]))

    def test_a_file_is_no_directory(self, place: Place) -> None:
        with pytest.raises(errors.Permanent, match="is none"):
            place.layer(tars.archive([tars.Member(b"f"), tars.Member(b"f/x")]))

    def test_names_that_whiteouts_may_not_have(self, place: Place) -> None:
        for name in (b".wh.", b".wh..", b".wh..."):
            with pytest.raises(errors.Permanent, match="names nothing"):
                place.layer(tars.archive([tars.directory(b"d"), tars.Member(b"d/" + name)]))

    def test_xattrs_that_would_steer_the_host_are_dropped(self, place: Place) -> None:
        evil = {
            "trusted.overlay.redirect": b"/etc",
            "trusted.x": b"1",
            "user.overlay.opaque": b"y",
            "security.selinux": b"z",
        }
        chain = place.stack([tars.directory(b"d", xattrs=evil), tars.Member(b"f", xattrs={**evil, "user.good": b"1"})])
        rootfs = place.driver.prepare("x", chain)
        assert os.listxattr(os.path.join(rootfs, "d")) == []
        assert os.listxattr(os.path.join(rootfs, "f")) == ["user.good"]

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (b"not an archive at all" * 100, "checksum"),
            (tars.archive([tars.Member(b"f", b"x" * 600)])[:700], "ends in the middle"),
            (tars.archive([tars.Member(b"f", kind=b"?")]), "unknown type"),
            (tars.archive([tars.Member(b"f", records=[(b"uid", b"4294967295")])]), "owner"),
            (tars.archive([tars.Member(b"n" * 300 + b"/f")]), "too long"),
        ],
    )
    def test_damaged_archives_leave_nothing(self, place: Place, data: bytes, words: str) -> None:
        with pytest.raises(errors.Permanent, match=words):
            place.layer(data)
        assert place.graph.layers() == ()
        assert place.leftovers() == []

    # snapshots

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
