"""Whole pulls from a real docker-registry whose disk has rotted: nothing of it is stored, and once it is mended, the
same pull succeeds."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable, Iterator

import pytest

from reconciler import errors
from reconciler.testing import graph_tars as tars
from reconciler.testing import graph_trees, images
from reconciler.testing.pulling import Puller

IMAGE = images.build([tars.archive([*tars.nasty()]), tars.archive([tars.Member(b"top", b"top" * 1000)])])


@pytest.fixture(scope="module")
def server() -> Iterator[images.Server]:
    with images.registry() as found:
        yield found


@pytest.fixture
def make_puller(tmp_path: pathlib.Path) -> Iterator[Callable[[str], Puller]]:
    made: list[Puller] = []

    def make(name: str) -> Puller:
        made.append(Puller(tmp_path / name))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture(scope="module")
def reference(server: images.Server) -> str:
    return images.push(server.address, "rotten", "v1", IMAGE)


def flipped(data: bytes) -> bytes:
    return data[:20] + bytes([data[20] ^ 1]) + data[21:]


@pytest.mark.parametrize("what", ["manifest", "config", "bottom", "top"])
@pytest.mark.parametrize(
    "rot",
    [flipped, lambda data: data[: len(data) // 2], lambda data: data + b"more", lambda data: b"", None],
    ids=["flipped", "truncated", "overlong", "empty", "absent"],
)
def test_what_has_rotted_there_is_not_stored_here(
    make_puller: Callable[[str], Puller],
    server: images.Server,
    reference: str,
    what: str,
    rot: Callable[[bytes], bytes] | None,
) -> None:
    document = json.loads(IMAGE.manifest)
    digests = {"manifest": IMAGE.digest, "config": IMAGE.image_id}
    digests.update(zip(("bottom", "top"), (layer["digest"] for layer in document["layers"]), strict=True))
    value = digests[what].partition(":")[2]
    path = server.directory / "data/docker/registry/v2/blobs/sha256" / value[:2] / value / "data"
    whole = path.read_bytes()
    puller = make_puller("rotten")
    try:
        path.unlink() if rot is None else path.write_bytes(rot(whole))
        with pytest.raises(errors.PydockError) as caught:
            puller.pull(reference)
    finally:
        path.write_bytes(whole)
    assert caught.value.message.startswith(f"image {reference}: ")
    assert digests[what] not in puller.graph.blobs()
    assert puller.recorded() == []
    # the layer below a rotten one may be whole, and waits for the next try
    assert [line for line in puller.problems() if not line.endswith("is here and not recorded")] == []
    assert len(puller.graph.layers()) <= (1 if what == "top" else 0)
    assert puller.pull(reference) == IMAGE.digest
    assert puller.problems() == []
    other = make_puller("honest")
    other.pull(reference)
    assert graph_trees.differences(puller.tree(reference), other.tree(reference)) == []
