"""What archives try."""

from __future__ import annotations

import os
import pathlib

import pytest

from reconciler import errors
from reconciler.testing import graph_tars as tars
from reconciler.testing.graph_suite.place import Place


class Hostile:
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

    def test_a_hard_link_in_the_place_of_its_own_target(self, place: Place) -> None:
        for name, target in ((b"f/x", b"f"), (b"d", b"d/f")):
            members = [tars.Member(b"f"), tars.Member(b"d/f"), tars.hard_link(name, target)]
            with pytest.raises(errors.Permanent, match="in whose place it comes"):
                place.layer(tars.archive(members))

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
