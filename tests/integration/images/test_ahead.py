"""Layers that are unpacked before those below them: they are what they would have been in their turn."""

from __future__ import annotations

import json
import os
import pathlib
import threading
from collections.abc import Callable, Iterator

import pytest

from reconciler import errors
from reconciler.drivers.graph import base
from reconciler.images import pulling as pulls
from reconciler.model import references
from reconciler.testing import graph_tars as tars
from reconciler.testing import graph_trees, images
from reconciler.testing.graph_suite import Place
from reconciler.testing.registry_fake import FakeRegistry

ALONE = [tars.directory(b"own"), tars.Member(b"own/file", b"x"), tars.Member(b"top", b"y")]
REFERENCE = "docker.io/library/x:latest"


@pytest.fixture
def place(tmp_path: pathlib.Path) -> Iterator[Place]:
    found = Place(tmp_path / "graph", "overlay", ahead=True)
    yield found
    found.close()


@pytest.mark.parametrize(
    "upper",
    [[tars.whiteout(b"usr")], [tars.directory(b"usr"), tars.opaque(b"usr")],
     [tars.hard_link(b"linked", b"usr/old")],
     [tars.Member(b"n", b"1"), tars.directory(b"n"), tars.Member(b"n/x", b"1")],
     [tars.Member(b"usr/n/x", b"1"), tars.directory(b"usr", 0o2711)],
     [tars.Member(b"n/x", b"1"), tars.directory(b".", 0o2711)]],
    ids=["a whiteout", "an opaque directory", "a hard link", "replaced", "named after others in it", "the root too"],
)  # fmt: skip
def test_what_needs_the_layers_below_waits_for_its_turn(place: Place, upper: list[tars.Member]) -> None:
    lower = [tars.directory(b"usr", 0o711), tars.Member(b"usr/old", b"old"), tars.symlink(b"link", b"usr")]
    place.stack(lower, upper)
    assert place.prepared == 0
    place.stack(lower, ALONE)
    assert place.prepared == 1


def test_directories_that_are_implied_are_like_those_below(place: Place) -> None:
    lower = [tars.directory(b"usr", 0o2711), tars.directory(b"usr/lib", 0o700), tars.Member(b"usr/lib/old", b"old")]
    upper = [tars.Member(b"usr/lib/new", b"1"), tars.Member(b"usr/none/new", b"2"), tars.directory(b"usr/none", 0o750),
             tars.Member(b"quite/new", b"3")]  # fmt: skip
    chain = place.stack(lower, [tars.Member(b"between/them", b"x")], upper)
    assert place.prepared == 2
    found = graph_trees.describe(place.driver.prepare("one", chain))
    modes = {path: found[path].mode for path in ("usr", "usr/lib", "usr/none", "quite")}
    assert modes == {"usr": 0o2711, "usr/lib": 0o700, "usr/none": 0o750, "quite": 0o755}
    assert found["usr"].mtime == found["usr/lib"].mtime == lower[0].mtime
    assert found["quite"].mtime == 0
    assert {"usr/lib/old", "usr/lib/new"} < set(found)


def test_what_an_implied_directory_inherits(place: Place) -> None:
    """From a directory that is told by the layers below, or by its own layer before it."""
    lower = [tars.directory(b"below", 0o2711, gid=50), tars.directory(b"plain")]
    upper = [tars.Member(b"below/new/in/f"), tars.directory(b"own", 0o2750, gid=60), tars.Member(b"own/new/f"),
             tars.directory(b"own", 0o750), tars.Member(b"plain/new/f")]  # fmt: skip
    found = graph_trees.describe(place.driver.prepare("one", place.stack(lower, upper)))
    made = {path: (found[path].mode, found[path].gid) for path in ("below/new", "below/new/in", "own/new", "plain/new")}
    assert made == {"below/new": (0o2755, 50), "below/new/in": (0o2755, 50), "own/new": (0o2755, 60),
                    "plain/new": (0o755, 0)}  # fmt: skip
    assert place.prepared == 1


@pytest.mark.parametrize("above", [b"link", b"link/deeper"])
def test_a_directory_that_is_implied_and_is_a_link_below(place: Place, above: bytes) -> None:
    """It was made for a directory, which the layers below show to be a link: it is unpacked anew, through that."""
    chain = place.stack([tars.directory(b"usr"), tars.symlink(b"link", b"usr")], [tars.Member(above + b"/new", b"1")])
    assert place.prepared == 1
    rootfs = pathlib.Path(place.driver.prepare("one", chain))
    assert (rootfs / "link").is_symlink()
    assert (rootfs / os.fsdecode(above.replace(b"link", b"usr")) / "new").read_text() == "1"
    assert place.leftovers() == []


def test_the_root_is_that_of_the_layers_below_unless_it_is_told(place: Place) -> None:
    lower = [tars.Member(b"./", b"", kind=b"5", mode=0o710, uid=7, mtime=1_000_000_000 * 10**9)]
    chain = place.stack(lower, ALONE)
    assert place.prepared == 1
    found = os.stat(place.driver.prepare("one", chain))
    assert (found.st_mode & 0o7777, found.st_uid, found.st_mtime) == (0o710, 7, 1_000_000_000)


def registry(*layers: list[tars.Member]) -> FakeRegistry:
    found = FakeRegistry()
    found.add(REFERENCE, images.build([tars.archive(each) for each in layers]))
    return found


def test_layers_are_unpacked_side_by_side(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    together = threading.Barrier(2)
    watch(place, monkeypatch, lambda: together.wait(20))
    done = pulls.pull(references.parse("x"), registry([tars.Member(b"f")], ALONE), place.graph)
    assert set(place.graph.layers()) == set(done.chain)
    assert place.leftovers() == []


def watch(place: Place, monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """``happens`` before each layer that is prepared."""
    real = place.graph.prepare_layer

    def prepare(chain_id: str, parent: str, diff_id: str, blob: str) -> base.Prepared | None:
        happens()
        return real(chain_id, parent, diff_id, blob)

    monkeypatch.setattr(place.graph, "prepare_layer", prepare)


def test_what_was_prepared_and_not_taken_is_removed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lowest layer never comes, as its transfer breaks off each time; the one on it had been unpacked."""
    found = registry([tars.Member(b"f", b"lowest")], ALONE)
    made = found.images[REFERENCE]
    lowest = json.loads(made.manifest)["layers"][0]["digest"]
    prepared = threading.Event()
    real = place.graph.prepare_layer

    def prepare(chain_id: str, parent: str, diff_id: str, blob: str) -> base.Prepared | None:
        done = real(chain_id, parent, diff_id, blob)
        assert done is not None
        prepared.set()
        return done

    fetch = found.fetch

    def breaks(reference: references.Reference, blob: object, offset: int, sink: object) -> None:
        if getattr(blob, "digest", "") == lowest:
            assert prepared.wait(20)
            raise errors.Permanent("it does not have it")
        fetch(reference, blob, offset, sink)  # type: ignore[arg-type]

    monkeypatch.setattr(place.graph, "prepare_layer", prepare)
    monkeypatch.setattr(found, "fetch", breaks)
    with pytest.raises(errors.Permanent, match="does not have it"):
        pulls.pull(references.parse("x"), found, place.graph)
    assert prepared.is_set()
    assert (place.leftovers(), place.graph.layers()) == ([], ())
    assert list((place.root / "layers").iterdir()) == []
