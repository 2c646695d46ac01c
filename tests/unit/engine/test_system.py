"""How images stand on one another's layers, and what takes the disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.testing import images
from reconciler.testing.loop import Loop, container

BASE, ONE, TWO, APART = (f"registry.example/{name}:1" for name in ("base", "one", "two", "apart"))


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    made = Loop(tmp_path)
    made.registry.add(BASE, images.build([b"root"]))
    made.registry.add(ONE, images.build([b"root", b"one"]))
    made.registry.add(TWO, images.build([b"root", b"two", b"more"], {"Cmd": ["serve"]}))
    made.registry.add(APART, images.build([b"apart"]))
    for reference in (BASE, ONE, TWO, APART):
        made.ask("pull_image", reference=reference)
    try:
        yield made
    finally:
        made.close()


def ends(loop: Loop, reference: str = "") -> dict[str, list[str]]:
    """Layer → the names of images that end in it."""
    items = loop.ask("image_tree", reference=reference)["items"]
    return {each["chainId"]: [image["reference"] for image in each["images"]] for each in items}


def chain(loop: Loop, reference: str) -> tuple[str, ...]:
    with loop.store.snapshot() as session:
        found = session.images.get(reference)
        assert found is not None
        return session.images.chain(found.image_id)


def test_the_tree_has_every_layer_once_with_its_parent_and_size(loop: Loop) -> None:
    items = loop.ask("image_tree")["items"]
    chains = [chain(loop, reference) for reference in (BASE, ONE, TWO, APART)]
    wanted = {(name, parent) for each in chains for parent, name in zip(("", *each), each, strict=False)}
    assert sorted((each["chainId"], each["parent"]) for each in items) == sorted(wanted)
    assert {each["chainId"]: each["size"] for each in items} == loop.graph.unpacked
    assert ends(loop) == {
        chains[0][0]: [BASE], chains[1][1]: [ONE], chains[2][1]: [], chains[2][2]: [TWO], chains[3][0]: [APART],
    }  # fmt: skip


def test_of_one_image_the_tree_has_what_is_below_and_above(loop: Loop) -> None:
    base, one, two = (chain(loop, reference) for reference in (BASE, ONE, TWO))
    assert ends(loop, TWO) == {two[0]: [BASE], two[1]: [], two[2]: [TWO]}
    assert ends(loop, BASE) == {base[0]: [BASE], one[1]: [ONE], two[1]: [], two[2]: [TWO]}


def test_images_without_layers_are_told_too(loop: Loop) -> None:
    empty = "registry.example/empty:1"
    loop.registry.add(empty, images.build([]))
    loop.ask("pull_image", reference=empty)
    assert ends(loop)[""] == [empty]
    assert ends(loop, empty) == {"": [empty]}


def test_the_tree_tells_who_uses_an_image(loop: Loop) -> None:
    loop.apply(container("web", image=TWO))
    (users,) = [image["usedBy"] for each in loop.ask("image_tree")["items"] for image in each["images"] if
                image["reference"] == TWO]  # fmt: skip
    assert users == ["container/default/web"]


def test_df_counts_every_byte_once(loop: Loop) -> None:
    loop.apply(container("web", image=TWO))
    found = loop.ask("system_df")
    assert found["layers"] == sum(loop.graph.unpacked.values())
    assert found["blobs"] == sum(map(len, loop.graph.contents.values()))
    assert found["disk"]["size"] - found["disk"]["free"] == found["layers"] + found["blobs"]
    assert found["reclaimable"] == loop.ask("images_unused", all=True)["freed"] > 0
    ((key, running, size),) = [(each["key"], each["running"], each["size"]) for each in found["containers"]]
    assert (key, running, size) == ("container/default/web", True, 100)
    assert (found["leftovers"], found["pulling"]) == ([], False)
    assert all(each["usedAt"] > 0 for each in found["images"])


def test_df_shows_leftovers(loop: Loop) -> None:
    loop.apply(container("web", image=TWO))
    stray = images.build([b"stray"], {"Cmd": ["stray"]})
    blob = next(name for name in stray.blobs if name != stray.image_id)
    writer = loop.graph.write_blob(blob, -1)
    writer.write(stray.blobs[blob])
    writer.commit()
    diff = stray.diff_ids[0]
    loop.graph.unpack_layer(diff, "", diff, blob)
    loop.graph.settle_layer(diff)
    loop.snapshots.prepare("nobodys", ())
    size = len(stray.blobs[blob])
    assert loop.ask("system_df")["leftovers"] == [
        {"what": "layer", "name": diff, "size": size},
        {"what": "blob", "name": blob, "size": size},
        {"what": "snapshot", "name": "nobodys", "size": 100},
    ]
    with loop.parts.images.leftovers.kept():
        assert [each["what"] for each in loop.ask("system_df")["leftovers"]] == ["snapshot"]
