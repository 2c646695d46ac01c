"""What images take on disk, and what would be free without some of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import errors
from reconciler.images import disk_sizes
from reconciler.testing import images
from reconciler.testing.loop import Loop

ONE, TWO = "registry.example/one:1", "registry.example/two:1"
_PARTS = st.dictionaries(st.sampled_from("abcdef"), st.frozensets(st.integers(0, 9)), max_size=6)


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    made = Loop(tmp_path)
    made.registry.add(ONE, images.build([b"shared", b"one"], {"Cmd": ["one"]}))
    made.registry.add(TWO, images.build([b"shared", b"two"], {"Cmd": ["two"]}))
    for reference in (ONE, TWO):
        made.ask("pull_image", reference=reference)
    try:
        yield made
    finally:
        made.close()


def test_what_images_share_is_counted_once() -> None:
    found = disk_sizes.Shares({"a": "bx", "b": "bxy", "c": "z"}, {"b": 1, "x": 10, "y": 100, "z": 1000})
    assert [(found.own(each), found.shared(each)) for each in "abc"] == [(0, 11), (100, 11), (1000, 0)]
    assert found.freed("a") == 0
    assert found.freed("b") == 100
    assert found.freed("ab") == 111
    assert found.freed("abc") == found.total() == 1111
    assert (found.own("unknown"), found.shared("unknown"), found.freed(["unknown"])) == (0, 0, 0)


@given(parts=_PARTS, going=st.frozensets(st.sampled_from("abcdef")))
def test_freed_is_what_is_less_without_them(parts: dict[str, frozenset[int]], going: frozenset[str]) -> None:
    named = {digest: [str(part) for part in found] for digest, found in parts.items()}
    bytes_of = {str(part): 1 << part for part in range(10)}
    left = disk_sizes.Shares({digest: found for digest, found in named.items() if digest not in going}, bytes_of)
    every = disk_sizes.Shares(named, bytes_of)
    assert every.total() - left.total() == every.freed(going)


def test_ls_and_prune_tell_them(loop: Loop) -> None:
    by_name = {each["reference"]: each for each in loop.ask("images")["items"]}
    one, two = by_name[ONE], by_name[TWO]
    assert one["size"] == one["own"] + one["shared"]
    assert one["shared"] == two["shared"] > 0
    held = sum(map(len, loop.graph.contents.values())) + sum(loop.graph.unpacked.values())
    unused = loop.ask("images_unused", all=True)
    assert unused["freed"] == held
    told = loop.ask("image_remove", references=[ONE], dry_run=True)
    assert [each["reference"] for each in told["items"]] == [ONE]
    assert loop.ask("image_remove", references=[ONE])["freed"] == told["freed"]
    left = sum(map(len, loop.graph.contents.values())) + sum(loop.graph.unpacked.values())
    assert held - left == told["freed"]


def test_what_is_measured_is_kept_and_what_is_gone_is_forgotten(loop: Loop) -> None:
    first = disk_sizes.layers(loop.parts.images).total()
    with loop.store.snapshot() as session:
        assert sum(session.relations.sizes("layer").values()) == first > 0
    loop.ask("image_remove", references=[ONE])
    loop.registry.add(ONE, images.build([b"another"], {"Cmd": ["one"]}))
    loop.ask("pull_image", reference=ONE)
    disk_sizes.layers(loop.parts.images)
    with loop.store.snapshot() as session:
        assert session.relations.sizes("layer") == loop.graph.unpacked


def test_reading_works_when_nothing_can_be_written(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(durable: bool = True) -> None:
        raise errors.Temporary("no space left")

    monkeypatch.setattr(loop.store, "transaction", full)
    assert all(each["own"] for each in loop.ask("images")["items"])
