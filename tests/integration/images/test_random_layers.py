"""Random layers: whiteouts, opaque directories, links of both kinds, and changes of type between layers and inside of
one, in any order. Every driver shows the tree that umoci makes.

``PYDOCK_TEST_LAYERS`` is the number of examples, 2,000 if it is not set; ``PYDOCK_TEST_SEED`` draws others. Three of
four stand together in images of many, which the helper unpacks behind its walls. The others have an image each, to show
what layers do to the root and what comes of those that are unpacked ahead; this process unpacks them, to save the
time that a helper takes to start.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import time
from collections.abc import Iterator

import pytest

from reconciler import errors
from reconciler.drivers.graph import (
    chains,
    confine,
    decompress,
    entries,
    extract_helper,
    extraction,
    layer_tree,
    syscalls,
)
from reconciler.testing import btrfs as disks
from reconciler.testing import graph_tars as tars
from reconciler.testing import graph_trees, random_layers
from reconciler.testing.graph_suite import Place

COUNT = int(os.environ.get("PYDOCK_TEST_LAYERS", "2000"))
SEED = os.environ.get("PYDOCK_TEST_SEED", "1")
PARTS = 4
ALONE = COUNT // 4 // PARTS
#: examples in one image
TOGETHER = 125

pytestmark = pytest.mark.timeout(300 * max(1, COUNT // 2000))


@pytest.fixture
def memory(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A directory in memory: nothing has to outlive a power cut here."""
    place = tmp_path / "memory"
    place.mkdir()
    syscalls.mount("none", str(place), "tmpfs", 0, "mode=700")
    try:
        yield place
    finally:
        syscalls.umount(str(place), syscalls.MNT_DETACH)


@pytest.fixture
def disk(memory: pathlib.Path) -> Iterator[pathlib.Path]:
    """A btrfs in memory."""
    with disks.file_system(memory, "1G") as found:
        yield found


@pytest.fixture
def began() -> int:
    return time.time_ns() - 60_000_000_000


@pytest.mark.parametrize("part", range(PARTS))
def test_all_drivers_show_what_umoci_makes(memory: pathlib.Path, disk: pathlib.Path, began: int, part: int) -> None:
    drawer = random_layers.Drawer(f"{SEED} together {part}", walled=True)
    umoci = random_layers.Umoci(memory)
    places = [Place(root / f"{driver}-{part}", driver)
              for driver, root in (("overlay", memory), ("vfs", memory), ("btrfs", disk))]  # fmt: skip
    for count in portions(COUNT // PARTS - ALONE, TOGETHER):
        examples = [drawer.example() for _ in range(count)]
        theirs = umoci.tree(random_layers.together([each.told for each in examples]))
        layers = random_layers.together([each.layers for each in examples])
        for place in places:
            try:
                ours = place.show(*layers)
            finally:
                place.empty()
            wrong = random_layers.unlike(ours, theirs, began, overlay=place.name == "overlay")
            assert not wrong, explained(place.name, wrong, examples)


def portions(total: int, most: int) -> list[int]:
    return [min(most, total - at) for at in range(0, total, most)]


def explained(driver: str, wrong: list[str], examples: list[random_layers.Example]) -> str:
    number = int(wrong[0].split("/")[0].strip("'"))
    return "\n".join([f"{driver}:", *wrong[:5], random_layers.shown(examples[number].layers)])


class Alone:
    """Unpacks one example after the other, with each of the ways that there are."""

    def __init__(self, root: pathlib.Path) -> None:
        self.places = {
            "overlay": Place(root / "overlay", "overlay"),
            "ahead": Place(root / "ahead", "overlay", ahead=True),
            "vfs": Place(root / "vfs", "vfs"),
        }

    def close(self) -> None:
        for place in self.places.values():
            place.close()

    def unlike(self, example: random_layers.Example, theirs: random_layers.Tree, began: int) -> list[str]:
        """What is wrong, in words."""
        wrong, own = [], []
        for name, place in self.places.items():
            try:
                chain = place.stack(*example.layers)
            except errors.Permanent as error:
                wrong.append(f"{name}: {error}")
                continue
            ours = graph_trees.describe(place.driver.prepare("show", chain))
            place.driver.remove("show")
            wrong += [f"{name}: {line}" for line in random_layers.unlike(ours, theirs, began, overlay=name != "vfs")]
            own.append([described(place.root / "layers" / chains.short_name(each)) for each in chain])
            place.empty()
        return wrong or ([] if own[0] == own[1] else [f"a layer unpacked ahead is another: {own[0]} {own[1]}"])


def described(tree: pathlib.Path) -> object:
    """A layer's own tree, down to overlay's marks. A whiteout has the time at which it was made."""
    nodes = {path: dataclasses.replace(node, mtime=None) if node.type == "c" else node
             for path, node in graph_trees.describe(str(tree)).items()}  # fmt: skip
    marks = [path for path, node in nodes.items()
             if node.type == "d" and "trusted.overlay.opaque" in os.listxattr(tree / path)]  # fmt: skip
    return nodes, sorted(marks)


@pytest.fixture
def alone(memory: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Alone]:
    def run(layer: extraction.Layer, limits: extraction.Limits) -> extraction.Result | None:
        with layer.blob() as file:
            request = extraction.request(layer, limits, file.fileno())
            stream = decompress.Stream(file.fileno(), request["max_bytes"])
            lower = layer_tree.UNKNOWN if layer.ahead else extract_helper.lower_view(request)
            try:
                answer = extract_helper.unpacked(request, stream, os.open(layer.target, entries.DIRECTORY), lower)  # type: ignore[arg-type]
            except layer_tree.Needed:
                answer = {"needed": True}
            except layer_tree.Refused as error:
                answer = {"error": str(error)}
            stream.drain()  # its thread reads the file to the end
        return extraction.result(layer, answer)

    def reopened(mount: int) -> int:
        descriptor = reopen(mount)
        os.close(mount)  # the helper has it closed by its end
        return descriptor

    reopen = confine.reopened
    monkeypatch.setattr(confine, "reopened", reopened)
    monkeypatch.setattr(extraction, "run", run)
    found, mask = Alone(memory), os.umask(0)
    try:
        yield found
    finally:
        os.umask(mask)
        found.close()


@pytest.mark.parametrize("part", range(PARTS))
def test_one_by_one_at_the_root_and_ahead(alone: Alone, memory: pathlib.Path, began: int, part: int) -> None:
    drawer = random_layers.Drawer(f"{SEED} alone {part}", walled=False)
    umoci = random_layers.Umoci(memory)
    for number in range(ALONE):
        example = drawer.example()
        os.umask(0o022)
        theirs = umoci.tree(example.told)
        os.umask(0)
        wrong = alone.unlike(example, theirs, began)
        assert not wrong, "\n".join([f"example {number}", *wrong[:5], random_layers.shown(example.layers)])
    assert alone.places["ahead"].prepared > ALONE // 10, "few were unpacked ahead"


def test_the_comparison_tells(memory: pathlib.Path, began: int) -> None:
    """What umoci makes of an image is unlike that of an image with one member more."""
    umoci = random_layers.Umoci(memory)
    one, other = umoci.tree([[tars.Member(b"a")]]), umoci.tree([[tars.Member(b"a")], [tars.whiteout(b"a")]])
    assert random_layers.unlike(one, one, began, overlay=True) == []
    assert [line.partition(":")[0] for line in random_layers.unlike(one, other, began, overlay=True)] == ["'a'"]
