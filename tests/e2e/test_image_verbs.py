"""`pydock image`: what is on the host is listed, looked into and removed, and never from under its users."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler.store import open_store
from reconciler.testing import graph_tars, images, store_samples
from reconciler.testing.daemon import Pydockd, container

Listed = dict[str, dict[str, Any]]


@pytest.fixture
def host(make_host: Callable[..., Pydockd]) -> Pydockd:
    return make_host().start()


@pytest.fixture
def pair(registry: images.Server) -> tuple[str, str]:
    """References of two images that share their lower layer."""
    shared = graph_tars.archive([graph_tars.Member(b"shared", os.urandom(5000))])
    made = []
    for name in ("one", "two"):
        own = graph_tars.archive([graph_tars.Member(name.encode(), os.urandom(3000))])
        made.append(images.push(registry.address, name, "1", images.build([shared, own], {"Cmd": [name]})))
    return made[0], made[1]


def pull(host: Pydockd, *references: str) -> None:
    for reference in references:
        assert host.cli("pull", reference).returncode == 0


def listed(host: Pydockd) -> Listed:
    """The images by their reference, or the digest of what has none."""
    found = json.loads(host.cli("image", "ls", "-o", "json").stdout)
    return {each["reference"] or each["digest"]: each for each in found}


def on_disk(host: Pydockd) -> tuple[int, int]:
    """How many blobs and layers the graph has."""
    return tuple(len(os.listdir(host.root / "graph" / part)) for part in ("blobs/sha256", "layers"))  # type: ignore[return-value]


def image_object(reference: str) -> dict[str, Any]:
    return {
        "apiVersion": "pydock.dev/v1", "kind": "Image", "metadata": {"name": "kept"}, "spec": {"reference": reference}
    }  # fmt: skip


def test_ls_tells_what_is_here_and_who_uses_it(host: Pydockd, image: str, pair: tuple[str, str]) -> None:
    assert host.cli("image", "ls").stderr == "No images found.\n"
    pull(host, *pair)
    host.apply(container("web", image))
    host.wait_ready_container("web")
    host.apply(image_object(pair[0]))
    ran = host.cli("images")
    lines = [re.split(r" {2,}", line) for line in ran.stdout.splitlines()]
    assert lines[0] == ["REFERENCE", "IMAGE ID", "SIZE", "USED BY"]
    rows = {line[0]: line[1:] for line in lines[1:]}
    assert list(rows) == sorted([image, *pair])
    found = listed(host)
    for reference, (short, size, used) in rows.items():
        assert found[reference]["imageId"].startswith(f"sha256:{short}")
        assert re.fullmatch(r"[0-9.]+(B|KiB|MiB)", size)
        assert used == ("1" if reference == image else "0")
    assert (found[image]["usedBy"], found[image]["keptBy"]) == (["container/default/web"], [])
    assert (found[pair[0]]["usedBy"], found[pair[0]]["keptBy"]) == ([], ["image/kept"])
    assert host.cli("image", "ls").stdout == ran.stdout
    assert host.cli("image", "ls", "-o", "name").stdout.split() == sorted([image, *pair])
    wide = host.cli("image", "ls", "-o", "wide").stdout
    assert "container/default/web" in wide
    assert found[image]["digest"] in wide


def test_inspect_and_history(host: Pydockd, registry: images.Server) -> None:
    tars = [graph_tars.archive([graph_tars.Member(name)]) for name in (b"a", b"b")]
    settings = {
        "Entrypoint": ["/e"],
        "Cmd": ["c"],
        "Env": ["A=1"],
        "Labels": {"l": "x"},
        "User": "www",
        "WorkingDir": "/w",
    }
    made = images.build(tars, settings)
    steps = [
        {"created": "2024-01-01T00:00:00Z", "created_by": "ADD a"},
        {"created": "2024-01-02T00:00:00Z", "created_by": "ENV A=1", "empty_layer": True, "comment": "by \x1b[31mhand"},
        {"created_by": "ADD b"},
    ]
    reference = images.push(registry.address, "told", "1", with_history(made, steps))
    pull(host, reference)
    found = json.loads(host.cli("image", "inspect", reference).stdout)
    assert found["config"] == {
        "entrypoint": ["/e"], "cmd": ["c"], "env": ["A=1"], "labels": {"l": "x"}, "user": "www", "workingDir": "/w",
        "stopSignal": "",
    }  # fmt: skip
    assert found["references"] == [reference]
    assert [layer["diffId"] for layer in found["layers"]] == [images.digest(tar) for tar in tars]
    assert found["layers"][0]["chainId"] == found["layers"][0]["diffId"]
    for layer in found["layers"]:
        blob = host.root / "graph" / "blobs" / "sha256" / layer["digest"].removeprefix("sha256:")
        assert blob.stat().st_size == layer["size"]
    for word in (found["digest"], found["imageId"], found["imageId"][7:19]):
        assert json.loads(host.cli("image", "inspect", word).stdout) == found
    lines = host.cli("image", "history", reference).stdout.splitlines()
    assert [line.split("   ")[-1].strip() for line in lines[1:]] == ["ADD b", r"by \x1b[31mhand", "ADD a"]
    told = json.loads(host.cli("image", "history", reference, "-o", "json").stdout)
    assert [each["emptyLayer"] for each in told] == [False, True, False]
    absent = host.cli("image", "inspect", "absent:1")
    assert (absent.returncode, absent.stderr) == (1, "pydock: image absent:1 is not here: see 'pydock image ls'\n")


def with_history(made: images.Image, steps: list[dict[str, Any]]) -> images.Image:
    """The image with another configuration, which has a history."""
    manifest = json.loads(made.manifest)
    raw = json.dumps(json.loads(made.blobs[made.image_id]) | {"history": steps}).encode()
    blobs = {name: data for name, data in made.blobs.items() if name != made.image_id} | {images.digest(raw): raw}
    manifest["config"] |= {"digest": images.digest(raw), "size": len(raw)}
    return images.Image(json.dumps(manifest).encode(), made.media_type, blobs, made.diff_ids)


def test_rm_removes_what_no_other_image_needs(host: Pydockd, pair: tuple[str, str]) -> None:
    pull(host, *pair)
    assert on_disk(host) == (7, 3)
    ran = host.cli("image", "rm", pair[0], "absent:1")
    assert (ran.returncode, ran.stdout) == (1, f"{pair[0]} removed\n")
    assert ran.stderr == "pydock: image absent:1 is not here: see 'pydock image ls'\n"
    assert (list(listed(host)), on_disk(host)) == ([pair[1]], (4, 2))
    short = listed(host)[pair[1]]["imageId"][7:19]
    dry = host.cli("image", "rm", "--dry-run", short)
    assert dry.stdout.splitlines()[0] == f"{pair[1]} would be removed"
    assert list(listed(host)) == [pair[1]]
    assert host.cli("image", "rm", short).returncode == 0
    assert (listed(host), on_disk(host)) == ({}, (0, 0))


def occupied(host: Pydockd) -> int:
    """Bytes of all blobs, and of the files of all layers."""
    graph = host.root / "graph"
    return sum(
        path.stat().st_size for part in ("blobs", "layers") for path in (graph / part).rglob("*") if path.is_file()
    )


def test_prune_tells_what_will_really_be_free(host: Pydockd, registry: images.Server, pair: tuple[str, str]) -> None:
    lower = graph_tars.archive([graph_tars.Member(b"third", os.urandom(100_000))])
    third = images.push(registry.address, "third", "1", images.build([lower]))
    pull(host, *pair, third)
    found = listed(host)
    for reference in pair:
        assert (found[reference]["size"], found[reference]["shared"], found[reference]["own"]) == (8000, 5000, 3000)
    host.apply(image_object(third))
    shown = host.api("GET", "/apis/pydock.dev/v1/graph/images/unused?all=true")
    assert [each["reference"] for each in shown["items"]] == sorted(pair)
    before = occupied(host)
    assert host.cli("image", "prune", "--all", "--yes").returncode == 0
    assert before - occupied(host) == shown["freed"]


def test_rm_refuses_what_is_used(host: Pydockd, image: str, pair: tuple[str, str]) -> None:
    host.apply(container("web", image))
    before = host.wait_ready_container("web")["pid"]
    pull(host, pair[0])
    host.apply(image_object(pair[0]))
    for reference, user in ((image, "container/default/web"), (pair[0], "image/kept")):
        ran = host.cli("image", "rm", reference)
        assert (ran.returncode, ran.stdout) == (1, "")
        assert ran.stderr == f"pydock: image {reference} is used by {user}: delete or change that first\n"
        url = "/apis/pydock.dev/v1/graph/images/remove"
        assert host.request("POST", url, {"references": [reference]})[0] == 409
    assert sorted(listed(host)) == sorted([image, pair[0]])
    assert host.wait_ready_container("web")["pid"] == before
    host.delete("Container", "web")
    host.wait_gone("Container", "web")
    assert host.cli("image", "rm", image).returncode == 0


def test_an_image_whose_tag_moved_stays_while_its_container_runs(
    host: Pydockd, registry: images.Server, image: str
) -> None:
    tag = images.push(registry.address, "moving", "1", images.busybox(page="old\n"))
    host.apply(container("web", tag))
    host.wait_ready_container("web")
    images.push(registry.address, "moving", "1", images.busybox(page="new\n"))
    pull(host, tag)
    (digest,) = [name for name in listed(host) if name.startswith("sha256:")]
    refused = host.cli("image", "rm", digest)
    assert (refused.returncode, "is used by container/default/web" in refused.stderr) == (1, True)
    assert host.cli("image", "prune", "--yes").stdout == "Nothing to remove.\n"
    assert host.cli("image", "prune", "--all", "--yes").stdout == "Nothing to remove.\n"
    host.delete("Container", "web")
    host.wait_gone("Container", "web")
    ran = host.cli("image", "prune", "--yes")
    assert (ran.returncode, ran.stdout.splitlines()[-1]) == (0, f"{digest} removed")
    assert list(listed(host)) == [tag]


def test_prune_removes_what_it_shows_and_nothing_that_is_used(host: Pydockd, image: str, pair: tuple[str, str]) -> None:
    pull(host, image, *pair)
    host.apply(container("web", image))
    host.wait_ready_container("web")
    assert host.cli("image", "prune", "--yes").stdout == "Nothing to remove.\n"
    shown = host.cli("image", "prune", "--all", "--dry-run")
    assert [line.split()[0] for line in shown.stdout.splitlines()] == ["REFERENCE", *sorted(pair), "Total:"]
    assert shown.stdout.splitlines()[-1].startswith("Total: 2 images, ")
    unasked = host.cli("image", "prune", "--all", input="y\n")
    assert (unasked.returncode, unasked.stdout) == (2, shown.stdout)
    assert "There is no terminal to ask at: --yes removes what is shown." in unasked.stderr
    assert len(listed(host)) == 3
    ran = host.cli("image", "prune", "--all", "--yes")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith(shown.stdout)
    assert list(listed(host)) == [image]
    assert on_disk(host) == (3, 1)
    assert host.wait_ready_container("web")["pid"]


def test_five_hundred_images_are_listed_in_time(host: Pydockd, image: str) -> None:
    pull(host, image)
    host.stop()
    record_many(host.root, 500)
    host.start()
    took = []
    for _ in range(5):
        began = time.monotonic()
        ran = host.cli("image", "ls")
        took.append(time.monotonic() - began)
        assert len(ran.stdout.splitlines()) == 502
    assert min(took) < 0.3, took


def record_many(root: Path, count: int) -> None:
    """Relations of so many images, beside the one that is here."""
    with contextlib.closing(open_store(root / "state.db")) as opened, opened.transaction() as session:
        for number in range(count):
            session.images.put(*store_samples.image(f"registry.example/{number}:1", number, layers=8))
