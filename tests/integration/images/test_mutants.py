"""Mutated layers: what pydock unpacks is what ``umoci raw unpack`` makes of them, and what one refuses the other does
too, but for differences on purpose. Nothing is made or removed outside."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import subprocess
import time

import pytest

from reconciler import errors
from reconciler.images import pulling as pulls
from reconciler.model import references
from reconciler.testing import graph_trees, image_mutants, images
from reconciler.testing.graph_suite import Place
from reconciler.testing.registry_fake import FakeRegistry

Tree = dict[str, graph_trees.Node]
MUTANTS = 100
#: words of umoci, and why we unpack what it refuses
LAXER = {
    "unknown typeflag '\\x37'": "contiguous files are files like others (POSIX)",
    "refusing to change type of root directory": "a name that ends in a slash is a directory's, whatever the type says",
    ": not a directory": "what stands in the way of a directory becomes one, as umoci 0.5 has it",
    "invalid tar header": "fields that mean nothing for a member's type are not read, such as the device of a file",
}
#: words of ours, and why we refuse what umoci unpacks
STRICTER = {
    "where a number must be": "a number that is none, or negative, is no owner or size",
    "has the owner": "an owner that the kernel cannot have is not cut down to one that it can have",
    "the map of the sparse file": "a map that does not fit its data is no file",
}


def mutants(first: int, work: pathlib.Path, canary: pathlib.Path) -> tuple[FakeRegistry, dict[str, images.Image]]:
    """A registry with them, and an OCI layout below ``work``."""
    registry, found, base = FakeRegistry(), {}, image_mutants.base()
    blobs = work / "layout/blobs/sha256"
    blobs.mkdir(parents=True)
    entries = []
    for seed in range(first, first + MUTANTS):
        made = images.build([base, image_mutants.Mutator(seed, os.fsencode(canary)).layer()])
        for digest, data in [*made.blobs.items(), (made.digest, made.manifest)]:
            (blobs / digest.removeprefix("sha256:")).write_bytes(data)
        named = {"org.opencontainers.image.ref.name": f"m{seed}"}
        size = len(made.manifest)
        entries.append({"mediaType": made.media_type, "digest": made.digest, "size": size, "annotations": named})
        registry.add(f"docker.io/library/m{seed}:latest", made)
        found[f"m{seed}"] = made
    (work / "layout/oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (work / "layout/index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))
    return registry, found


def theirs(work: pathlib.Path, name: str) -> tuple[Tree, str]:
    """The tree, or why it was refused. umoci 0.4.7 removes what is beside its tree where a whiteout names ``..``."""
    top = work / f"theirs-{name}" / "rootfs"
    top.parent.mkdir()
    command = ["umoci", "raw", "unpack", "--image", f"{work}/layout:{name}", str(top)]
    done = subprocess.run(command, capture_output=True, text=True)
    return ({}, done.stderr) if done.returncode else (graph_trees.describe(str(top)), "")


def ours(place: Place, registry: FakeRegistry, name: str) -> tuple[Tree, str]:
    try:
        found = pulls.pull(references.parse(name), registry, place.graph)
    except errors.Permanent as error:
        return {}, str(error)
    tree = graph_trees.describe(place.driver.prepare(name, found.chain))
    place.driver.remove(name)
    return tree, ""


def compared(name: str, mine: Tree, other: Tree, began: int) -> list[str]:
    """The differences, but for three on purpose: directories that no member names have no time of the day; a device 0:0
    is overlay's mark and takes away; overlay copies a file up without the other names that it has below."""
    for path in [path for path, node in other.items() if node.type == "c" and node.content == "0:0"]:
        del other[path]
    for path, node in other.items():
        if node.mtime is not None and node.mtime > began and path in mine:
            other[path] = dataclasses.replace(node, mtime=mine[path].mtime)
    if name == "overlay":
        mine, other = (
            {path: dataclasses.replace(node, links=()) for path, node in tree.items()} for tree in (mine, other)
        )
    return graph_trees.differences(mine, other)


@pytest.mark.parametrize(("driver", "first"), [("overlay", 0), ("overlay", 100), ("vfs", 200), ("vfs", 300)])
def test_mutated_images_give_the_tree_that_umoci_makes(tmp_path: pathlib.Path, driver: str, first: int) -> None:
    began = time.time_ns() - 60_000_000_000
    canary = tmp_path / "canary"
    canary.mkdir()
    registry, made = mutants(first, tmp_path, canary)
    place = Place(tmp_path / "graph", driver)
    wrong, same = [], 0
    try:
        for name in made:
            mine, refused = ours(place, registry, name)
            assert os.listdir(canary) == [], name
            other, their_refusal = theirs(tmp_path, name)
            if refused and their_refusal:
                continue
            if refused or their_refusal:
                known, words = (STRICTER, refused) if refused else (LAXER, their_refusal)
                wrong += [] if any(word in words for word in known) else [f"{name}: {words}"]
            else:
                wrong += [f"{name}: {line}" for line in compared(driver, mine, other, began)]
                same += 1
    finally:
        place.close()
    assert wrong == []
    assert same > MUTANTS // 3, "most are refused by both: the mutator breaks too much"
