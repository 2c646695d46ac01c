"""What an archive says of a file, and a careless tool loses."""

from __future__ import annotations

import os

from reconciler.testing import graph_tars as tars
from reconciler.testing import graph_trees
from reconciler.testing.graph_suite.place import Place


class Fidelity:
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

    def test_all_of_it_is_kept_when_layers_come_on_top(self, place: Place) -> None:
        """Copied, stacked or shared: a layer that touches other names alters nothing, times of directories included."""
        alone = place.show(tars.nasty())
        on_top = place.show(
            tars.nasty(), [tars.Member(b"bin/more"), tars.Member(b"more")], [tars.whiteout(b"bin/more")]
        )
        assert set(on_top) - set(alone) == {"more"}
        assert graph_trees.differences(alone, {path: on_top[path] for path in alone}) == []

    def test_holes_are_kept_when_layers_come_on_top(self, place: Place) -> None:
        chain = place.stack([tars.sparse(b"s", [(1 << 24, b"end")], 1 << 25)], [tars.Member(b"a")])
        found = os.stat(os.path.join(place.driver.prepare("sparse", chain), "s"))
        assert (found.st_size, found.st_blocks * 512 < 1 << 20) == (1 << 25, True)
