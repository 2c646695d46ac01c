"""What layers do to one another."""

from __future__ import annotations

import os

import pytest

from reconciler.testing import graph_tars as tars
from reconciler.testing import images
from reconciler.testing.graph_suite.place import Place


class Merging:
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

    def test_a_whiteout_in_what_is_a_file_now_has_no_effect(self, place: Place) -> None:
        """umoci's repack writes one for each file of a directory that a file took the place of."""
        lower = [tars.directory(b"d"), tars.Member(b"d/x"), tars.Member(b"f")]
        for upper in (
            [tars.Member(b"d", b"1"), tars.whiteout(b"d/x")],
            [tars.whiteout(b"d/x"), tars.Member(b"d", b"1")],
        ):
            assert place.names(lower, upper) == {"d", "f"}
        assert place.names(lower, [tars.whiteout(b"f/x"), tars.opaque(b"f"), tars.opaque(b"f/x")]) == {"d", "d/x", "f"}

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

    def test_an_implied_directory_has_the_group_of_a_set_group_id_directory(self, place: Place) -> None:
        lower = [tars.directory(b"s", 0o2711, gid=50), tars.directory(b"p", gid=50)]
        found = place.show(lower, [tars.Member(b"s/a/b/f"), tars.Member(b"p/a/f")])
        made = {path: (found[path].mode, found[path].gid) for path in ("s", "s/a", "s/a/b", "p/a")}
        assert made == {"s": (0o2711, 50), "s/a": (0o2755, 50), "s/a/b": (0o2755, 50), "p/a": (0o755, 0)}

    def test_a_hard_link_to_a_file_under_several_layers(self, place: Place) -> None:
        data = os.urandom(300_000)
        lower = [tars.Member(b"a", data, mode=0o711), tars.sparse(b"s", [(1 << 20, b"end")], 1 << 21)]
        upper = [tars.hard_link(b"b", b"a"), tars.hard_link(b"t", b"s")]
        found = place.show(lower, [tars.Member(b"x")], [tars.Member(b"y")], upper)
        assert (found["b"].content, found["b"].mode) == (images.digest(data)[7:], 0o711)
        assert found["t"].content == found["s"].content

    def test_a_directory_is_hidden_after_whiteouts_in_it(self, place: Place) -> None:
        """Overlay lists the marks of a directory that hides all below: names of files that are not there."""
        lower = [tars.directory(b"d"), tars.Member(b"d/gone"), tars.directory(b"d/in"), tars.Member(b"d/in/gone")]
        upper = [
            tars.Member(b"d/new"),
            tars.whiteout(b"d/gone"),
            tars.Member(b"d/in/new"),
            tars.whiteout(b"d/in/gone"),
        ]
        for last in (tars.whiteout(b"d"), tars.opaque(b"d"), tars.opaque(b".")):
            assert place.names(lower, [*upper, last]) == {"d", "d/in", "d/in/new", "d/new"}

    def test_a_file_below_goes_after_a_hard_link_to_it(self, place: Place) -> None:
        lower = [tars.directory(b"d"), tars.Member(b"d/a", b"1")]
        for whiteout in (tars.whiteout(b"d/a"), tars.opaque(b"d"), tars.whiteout(b"d")):
            found = place.show(lower, [tars.hard_link(b"b", b"d/a"), tars.Member(b"d/own"), whiteout])
            assert set(found) == {".", "b", "d", "d/own"}
            assert found["b"].content == images.digest(b"1")[7:]
        again = [tars.hard_link(b"b", b"d/a"), tars.Member(b"d/a", b"2"), tars.whiteout(b"d/a")]
        assert place.show(lower, again)["d/a"].content == images.digest(b"2")[7:]

    @pytest.mark.parametrize("last", [tars.whiteout(b"x/t"), tars.opaque(b"x"), tars.whiteout(b"x"), tars.opaque(b".")])
    def test_a_directory_that_was_only_passed_through_goes(self, place: Place, last: tars.Member) -> None:
        """Whatever the layer took away or linked to in it before: nothing that it brought is in there."""
        lower = [
            tars.directory(b"x"),
            tars.directory(b"x/t"),
            tars.Member(b"x/t/f", b"1"),
            tars.directory(b"x/t/d"),
            tars.Member(b"x/t/d/f", b"2"),
            tars.symlink(b"l", b"x/t"),
        ]
        firsts = [
            [tars.whiteout(b"x/t/f")],
            [tars.opaque(b"x/t")],
            [tars.whiteout(b"x/t/none")],
            [tars.whiteout(b"x/t/d/f"), tars.opaque(b"x/t/d")],
            [tars.whiteout(b"l/f")],
            [tars.hard_link(b"k", b"x/t/f")],
            [tars.hard_link(b"k", b"x/t/d/f"), tars.whiteout(b"x/t/d")],
        ]
        names = [b"%d" % number for number in range(len(firsts))]
        below = [member for name in names for member in tars.under(name, lower)]
        above = [
            member for name, first in zip(names, firsts, strict=True) for member in tars.under(name, [*first, last])
        ]
        found = place.names(below, above)
        left = {"l"} if last.name == b".wh.x" else {"l", "x"}
        left = set() if last.name.startswith(b"./") else left
        for name, first in zip(names, firsts, strict=True):
            own = {"k"} if first[0].name == b"k" else set()
            top = name.decode() + "/"
            assert {path.removeprefix(top) for path in found if path.startswith(top)} == left | own, first

    def test_the_root_hides_what_was_only_passed_through(self, place: Place) -> None:
        lower = [tars.Member(b"x/t/f"), tars.Member(b"x/g")]
        assert place.names(lower, [tars.whiteout(b"x/t/f"), tars.opaque(b".")]) == set()
        assert place.names(lower, [tars.opaque(b"x/t"), tars.whiteout(b"x")]) == set()

    def test_a_directory_that_was_passed_through_and_then_got_a_file_stays(self, place: Place) -> None:
        lower = [tars.directory(b"x/t", 0o711), tars.Member(b"x/t/f"), tars.Member(b"x/t/g"), tars.Member(b"x/h")]
        for last in (tars.whiteout(b"x/t"), tars.opaque(b"x"), tars.whiteout(b"x")):
            found = place.show(lower, [tars.whiteout(b"x/t/f"), tars.Member(b"x/t/own/new"), last])
            assert set(found) == {".", "x", "x/t", "x/t/own", "x/t/own/new"} | (
                {"x/h"} if last.name == b"x/.wh.t" else set()
            )
            assert found["x/t"].mode == 0o711

    def test_an_entry_below_what_was_no_directory_makes_one(self, place: Place) -> None:
        """As umoci does since 0.5, and overlay where each layer is unpacked by itself."""
        lower = [tars.Member(b"f", b"1", mode=0o600, uid=7), tars.symlink(b"l", b"f"), tars.Member(b"p", kind=b"6")]
        for upper in (
            [tars.Member(b"f/a/x")],
            [tars.directory(b"f/a"), tars.Member(b"f/a/x")],
            [tars.Member(b"l/a/x")],
            [tars.Member(b"f", b"2"), tars.Member(b"f/a/x")],
            [tars.Member(b"k"), tars.hard_link(b"f/a/x", b"k"), tars.whiteout(b"k")],
        ):
            found = place.show(lower, upper)
            assert set(found) - {"k"} == {".", "f", "f/a", "f/a/x", "l", "p"}
            assert (found["f"].type, found["f"].mode, found["f"].uid) == ("d", 0o755, 0)
        assert place.names(lower, [tars.Member(b"p/x")], [tars.Member(b"p/x/y")]) == {"f", "l", "p", "p/x", "p/x/y"}
