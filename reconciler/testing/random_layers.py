"""Random images of a few names, whose layers meet, and what umoci makes of them."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import random
import subprocess
from collections.abc import Sequence
from typing import NamedTuple

from reconciler.drivers.graph import trees
from reconciler.testing import graph_tars as tars
from reconciler.testing import graph_trees, images
from reconciler.testing.layer_model import OTHER, Impossible, Model

Layer = list[tars.Member]
Tree = dict[str, graph_trees.Node]
NAMES = [b"a", b"b", b"c", b"d"]
_LINKS = (b"a", b"b", b"/c", b"/a/b", b"../c", b"a/b", b"..", b".", b"d/c")


class Example(NamedTuple):
    """``layers``, bottom first. ``told`` are the same with what umoci before 0.5 has to be told: a directory in whose
    place there was something else is named by a member of its own."""

    layers: list[Layer]
    told: list[Layer]


class Drawer:
    """Draws examples. ``walled``: their links do not lead above their root, so that many can stand in one image."""

    def __init__(self, seed: object, *, walled: bool) -> None:
        self._draw, self._walled = random.Random(str(seed)), walled
        self._model = Model(walled=walled)

    def example(self) -> Example:
        self._model = Model(walled=self._walled)
        made = [self._layer() for _ in range(self._draw.choice((2, 2, 3, 3, 3, 4)))]
        return Example([layer for layer, _ in made], [told for _, told in made])

    def _layer(self) -> tuple[Layer, Layer]:
        drawn = [self._member() for _ in range(self._draw.randint(1, 8))]
        if self._draw.random() < 0.5:
            drawn.sort(key=lambda member: member.name)
        self._model.begin_layer()
        layer: Layer = []
        told: Layer = []
        for member in drawn:
            try:
                extra = self._model.add(member)
            except Impossible:
                continue
            layer.append(member)
            told += [*extra, member]
        return layer, told

    def _path(self) -> bytes:
        """Often of what is there, or beside or below it."""
        known = list(self._model.nodes)
        if known and self._draw.random() < 0.6:
            path = self._draw.choice(known)
            return path + b"/" + self._draw.choice(NAMES) if self._draw.random() < 0.4 else path
        return b"/".join(self._draw.choices(NAMES, k=self._draw.randint(1, 3)))

    def _member(self) -> tars.Member:
        path, pick = self._path(), self._draw
        way = pick.choices((self._file, self._directory, self._link, self._hard_link, self._odd, self._opaque,
                            self._whiteout), (4, 4, 2, 3, 1, 2, 6))[0]  # fmt: skip
        return way(path)

    def _file(self, path: bytes) -> tars.Member:
        pick = self._draw
        return tars.Member(path, pick.randbytes(5), mode=pick.choice((0o644, 0o4755)), uid=pick.choice((0, 12)))

    def _directory(self, path: bytes) -> tars.Member:
        pick = self._draw
        seconds = pick.randrange(1_000_000_000, 1_500_000_000)
        path = path if self._walled or pick.random() < 0.9 else b"."
        return tars.directory(path, pick.choice((0o755, 0o2711)), uid=pick.choice((0, 7)), mtime=seconds * 10**9)

    def _link(self, path: bytes) -> tars.Member:
        return tars.symlink(path, self._draw.choice(_LINKS))

    def _hard_link(self, path: bytes) -> tars.Member:
        files = [name for name, node in self._model.nodes.items() if node.kind == OTHER]
        target = self._draw.choice(files) if files and self._draw.random() < 0.9 else self._path()
        return tars.hard_link(path, target)

    def _odd(self, path: bytes) -> tars.Member:
        return self._draw.choice(
            (tars.Member(path, kind=b"6", mode=0o600), tars.Member(path, kind=b"3", device=(1, 3)))
        )

    def _opaque(self, path: bytes) -> tars.Member:
        return tars.opaque(path if self._draw.random() < 0.7 else path.rpartition(b"/")[0])

    def _whiteout(self, path: bytes) -> tars.Member:
        return tars.whiteout(path)


def together(examples: Sequence[Sequence[Layer]]) -> list[Layer]:
    """The layers of many examples as those of one image: each in a directory of its own, named by its number."""
    found: list[Layer] = [[] for _ in range(max(map(len, examples)))]
    for number, layers in enumerate(examples):
        name = b"%d" % number
        found[0].append(tars.directory(name))
        for layer, members in zip(found, layers, strict=False):
            layer += tars.under(name, members)
    return found


class Umoci:
    """Unpacks images below ``work``."""

    def __init__(self, work: pathlib.Path) -> None:
        self._work = work

    def tree(self, layers: Sequence[Layer]) -> Tree:
        layout = self._work / "layout"
        try:
            return self._tree(layout, layers)
        finally:
            trees.remove_path(str(layout))

    def _tree(self, layout: pathlib.Path, layers: Sequence[Layer]) -> Tree:
        blobs = layout / "blobs/sha256"
        blobs.mkdir(parents=True)
        made = images.build([tars.archive(layer) for layer in layers], packing="plain")
        for digest, data in [*made.blobs.items(), (made.digest, made.manifest)]:
            (blobs / digest.removeprefix("sha256:")).write_bytes(data)
        named = {"org.opencontainers.image.ref.name": "x"}
        entry = {"mediaType": made.media_type, "digest": made.digest, "size": len(made.manifest), "annotations": named}
        (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
        command = ["umoci", "raw", "unpack", "--image", f"{layout}:x", str(layout / "rootfs")]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, f"{done.stderr}{shown(layers)}"
        return graph_trees.describe(str(layout / "rootfs"))


def unlike(ours: Tree, theirs: Tree, began: int, *, overlay: bool) -> list[str]:
    """The differences, but for two on purpose: directories that no member names have no time of the day (``began``,
    in ns), and overlay copies a file up without the other names that it has below."""
    expected = {}
    for path, node in theirs.items():
        mine = ours.get(path, node)
        if node.mtime is not None and node.mtime > began:
            node = dataclasses.replace(node, mtime=mine.mtime)
        if overlay and set(mine.links) <= set(node.links):
            node = dataclasses.replace(node, links=mine.links)
        expected[path] = node
    return graph_trees.differences(ours, expected)


def shown(layers: Sequence[Layer]) -> str:
    """An example as code, to be copied into a test of its own."""
    lines = []
    for layer in layers:
        lines.append("[")
        lines += [f"    Member({m.name!r}, kind={m.kind!r}, link={m.link!r}, mode={m.mode:#o})," for m in layer]
        lines.append("],")
    return "\n".join(lines)
