"""Pulls from a real registry, of images pushed by others, compared with what others make of them."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import errno
import json
import os
import pathlib
import subprocess
import threading
from collections.abc import Iterator

import pytest

from reconciler import errors
from reconciler.drivers.registry import client, manifests
from reconciler.images import pulling as pulls
from reconciler.model import references
from reconciler.testing import graph_tars as tars
from reconciler.testing import graph_trees, images
from reconciler.testing.graph_suite import Place
from reconciler.testing.registry_fake import FakeRegistry

UPPER = [
    tars.whiteout(b"bin/sg"),
    tars.whiteout(b"link"),
    tars.Member(b"bin/new", b"new", mode=0o755),
    tars.directory(b"tmp", 0o1777),
    tars.opaque(b"implied"),
    tars.Member(b"implied/fresh", b"z"),
    tars.hard_link(b"bin/newer", b"bin/new"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[images.Server]:
    with images.registry() as found:
        yield found


@pytest.fixture(params=["overlay", "vfs"])
def place(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[Place]:
    found = Place(tmp_path / "graph", request.param)
    yield found
    found.close()


def pull(place: Place, reference: str) -> pulls.Pulled:
    return pulls.pull(references.parse(reference), client.RegistryClient(), place.graph)


@pytest.mark.parametrize("packing", ["gzip", "zstd", "plain"])
@pytest.mark.parametrize("docker", [True, False])
def test_an_image_of_ours(place: Place, server: images.Server, packing: images.Packing, docker: bool) -> None:
    image = images.busybox(docker=docker, packing=packing, User="www", Labels={"a": "b"}, StopSignal="SIGQUIT")
    name = f"ours-{packing}-{str(docker).lower()}"
    found = pull(place, images.push(server.address, name, "v1", image))
    facts = found.facts
    assert (facts.reference, facts.digest) == (f"{server.address}/{name}:v1", image.digest)
    assert facts.image_id == image.image_id
    assert facts.cmd == ("/bin/httpd", "-f", "-v", "-p", "80", "-h", "/www")
    assert (facts.env, facts.working_dir, facts.user) == (("PATH=/bin",), "/", "www")
    assert (facts.stop_signal, facts.labels) == ("SIGQUIT", {"a": "b"})
    assert set(found.blobs) == set(place.graph.blobs())
    assert place.graph.layers() == found.chain == (facts.chain_id,)
    rootfs = place.driver.prepare("x", found.chain)
    words = subprocess.run(
        ["chroot", rootfs, "/bin/cat", "/www/index.html"], capture_output=True, text=True, check=True
    )
    assert words.stdout == "hello from pydock\n"


def test_by_digest_and_by_both(place: Place, server: images.Server) -> None:
    image = images.busybox("by digest\n")
    images.push(server.address, "digest", "v1", image)
    for text in (f"digest@{image.digest}", f"digest:v1@{image.digest}"):
        facts = pull(place, f"{server.address}/{text}").facts
        assert (facts.digest, facts.reference) == (image.digest, f"{server.address}/{text}")


def test_an_index(place: Place, server: images.Server) -> None:
    host = manifests.host_platform(os.uname().machine)
    other = manifests.Platform("linux", "s390x")
    right = images.busybox("right\n")
    wrong = images.build([images.busybox_layer("wrong\n")], platform=other)
    reference = images.push_index(server.address, "index", "v1", [(wrong, other), (right, host)])
    assert pull(place, reference).facts.digest == right.digest
    named = f"{server.address}/index@{images.digest(images.index([(wrong, other), (right, host)]))}"
    assert pull(place, named).facts.digest == right.digest


@pytest.mark.parametrize(("form", "packing"), [("oci", "gzip"), ("oci", "zstd"), ("v2s2", "gzip")])
def test_an_image_that_skopeo_pushed(
    place: Place, server: images.Server, tmp_path: pathlib.Path, form: str, packing: str
) -> None:
    """Packed by it: the registry that it pushes to has no packing of these layers yet."""
    name, mine = f"skopeo-{form}-{packing}", tars.Member(form.encode(), packing.encode())
    made = images.build([tars.archive([*members, mine]) for members in (tars.nasty(), UPPER)], packing="plain")
    with images.registry() as first:
        source = images.push(first.address, "first", "v1", made)
        _skopeo(source, f"dir:{tmp_path}/plain", form)
        command = ["skopeo", "copy", "--dest-tls-verify=false", "--format", form, "--dest-compress-format", packing]
        subprocess.run([*command, f"dir:{tmp_path}/plain", f"docker://{server.address}/{name}:v1"], check=True)
        straight = pull(place, source)
    found = pull(place, f"{server.address}/{name}:v1")
    kinds = [layer["mediaType"] for layer in json.loads(place.graph.read_blob(found.facts.digest, 1 << 20))["layers"]]
    assert set(kinds) == {images.LAYERS[form == "v2s2", "zstd" if packing == "zstd" else "gzip"]}
    rootfs = place.driver.prepare("x", found.chain)
    assert straight.chain == found.chain
    assert "bin/new" in graph_trees.describe(rootfs)


def nasty() -> images.Image:
    return images.build([tars.archive(tars.nasty()), tars.archive(UPPER)])


def test_the_tree_is_the_one_that_umoci_makes(place: Place, server: images.Server, tmp_path: pathlib.Path) -> None:
    images.push(server.address, "nasty", "v1", nasty())
    layout = tmp_path / "layout"
    _skopeo(f"{server.address}/nasty:v1", f"oci:{layout}:v1", "oci")
    subprocess.run(
        ["umoci", "unpack", "--image", f"{layout}:v1", str(tmp_path / "bundle")], check=True, capture_output=True
    )
    found = pull(place, f"{server.address}/nasty:v1")
    ours = graph_trees.describe(place.driver.prepare("x", found.chain))
    theirs = graph_trees.describe(str(tmp_path / "bundle" / "rootfs"))
    # times of directories that no member names are nobody's: theirs are of the day
    for tree in (ours, theirs):
        for path in (".", "implied", "implied/by"):
            tree.pop(path, None)
    assert graph_trees.differences(ours, theirs) == []


def test_pulling_again_asks_for_the_manifest_alone(place: Place) -> None:
    registry = FakeRegistry()
    registry.add("docker.io/library/x:latest", images.busybox())
    reference = references.parse("x")
    first = pulls.pull(reference, registry, place.graph)
    asked = len(registry.fetched)
    again = pulls.pull(reference, registry, place.graph)
    assert again == first
    assert (len(registry.resolved), len(registry.fetched)) == (2, asked)


def test_layers_that_are_here_are_not_fetched(place: Place) -> None:
    shared, one, two = (tars.archive([tars.Member(name)]) for name in (b"shared", b"one", b"two"))
    registry = FakeRegistry()
    registry.add("docker.io/library/one:latest", images.build([shared, one]))
    registry.add("docker.io/library/two:latest", images.build([shared, two]))
    pulls.pull(references.parse("one"), registry, place.graph)
    for digest in place.graph.blobs():
        place.graph.remove_blob(digest)
    registry.fetched.clear()
    seen: list[tuple[str, str]] = []
    pulls.pull(references.parse("two"), registry, place.graph, progress=lambda *word: seen.append(word[:2]))
    layers = [
        layer["digest"] for layer in json.loads(registry.images["docker.io/library/two:latest"].manifest)["layers"]
    ]
    assert [digest for digest, _ in registry.fetched if digest in layers] == [layers[1]]
    assert ("exists", layers[0]) in seen
    assert [status for status, digest in seen if digest == layers[1]][-2:] == ["unpacking", "unpacked"]


def test_many_that_want_the_same_fetch_it_once(place: Place) -> None:
    shared = [tars.archive([tars.Member(b"f%d" % number)]) for number in range(4)]
    registry = FakeRegistry()
    for name in ("a", "b", "c"):
        image = images.build([*shared, tars.archive([tars.Member(name.encode())])])
        registry.add(f"docker.io/library/{name}:latest", image)
    with concurrent.futures.ThreadPoolExecutor(9) as pool:
        jobs = [pool.submit(pulls.pull, references.parse(name), registry, place.graph) for name in ("a", "b", "c") * 3]
        results = [job.result() for job in jobs]
    digests = [digest for digest, _ in registry.fetched]
    assert len(digests) == len(set(digests))
    assert len({result.chain for result in results}) == 3
    assert len(place.graph.layers()) == 4 + 3


def test_an_image_that_has_the_same_layer_twice(place: Place) -> None:
    empty = tars.archive([])
    registry = FakeRegistry()
    registry.add("docker.io/library/x:latest", images.build([empty, tars.archive([tars.Member(b"a")]), empty]))
    found = pulls.pull(references.parse("x"), registry, place.graph)
    assert len(set(found.chain)) == 3
    assert os.listdir(place.driver.prepare("x", found.chain)) == ["a"]


def test_a_blob_that_was_damaged_in_the_store_is_fetched_again(place: Place) -> None:
    image = images.busybox()
    layer = json.loads(image.manifest)["layers"][0]["digest"]
    registry = FakeRegistry()
    registry.add("docker.io/library/x:latest", image)
    place.put(image.blobs[layer])
    path = place.root / "blobs" / layer.replace(":", "/")
    path.write_bytes(b"torn by a power cut")
    found = pulls.pull(references.parse("x"), registry, place.graph)
    assert place.graph.layers() == found.chain
    assert place.graph.read_blob(layer, 1 << 24) == image.blobs[layer]


def test_a_whole_blob_that_does_not_unpack_stays_for_the_image_that_has_it(place: Place) -> None:
    image = images.busybox()
    layer = json.loads(image.manifest)["layers"][0]["digest"]
    lying = dataclasses.replace(image, blobs=dict(image.blobs))
    config = json.loads(image.blobs[image.image_id])
    config["rootfs"]["diff_ids"][0] = images.digest(b"another layer")
    raw = json.dumps(config).encode()
    lying.blobs[images.digest(raw)] = raw
    manifest = json.loads(image.manifest)
    manifest["config"] |= {"digest": images.digest(raw), "size": len(raw)}
    registry = FakeRegistry()
    registry.add("docker.io/library/x:latest", image)
    registry.add("docker.io/library/lying:latest", dataclasses.replace(lying, manifest=json.dumps(manifest).encode()))
    pulls.pull(references.parse("x"), registry, place.graph)
    path = place.root / "blobs" / layer.replace(":", "/")
    before = path.stat().st_ino
    with pytest.raises(errors.Permanent, match="lying"):
        pulls.pull(references.parse("lying"), registry, place.graph)
    assert path.stat().st_ino == before
    assert [digest for digest, _ in registry.fetched].count(layer) == 1


def _skopeo(source: str, target: str, form: str) -> None:
    command = ["skopeo", "copy", "--src-tls-verify=false", "--format", form, f"docker://{source}", target]
    subprocess.run(command, check=True, capture_output=True)


def test_a_blob_that_cannot_be_synced_is_not_there_though_its_layer_was_unpacked(
    place: Place, server: images.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = images.push(server.address, "unsynced", "v1", images.build([tars.archive([tars.Member(b"f", b"x")])]))
    unpack, unpacked = place.graph.unpack_layer, threading.Event()
    sync = os.fdatasync

    def unpack_layer(*args: str) -> int:
        size = unpack(*args)
        unpacked.set()
        return size

    def fdatasync(descriptor: int) -> None:
        if threading.current_thread().name.startswith("pull_"):
            assert unpacked.wait(20), "a layer is unpacked while its blob is synced"
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(place.graph, "unpack_layer", unpack_layer)
        patch.setattr(os, "fdatasync", fdatasync)
        with pytest.raises(errors.Temporary, match="Input/output error"):
            pull(place, reference)
    assert len(place.graph.blobs()) == 2  # manifest and configuration
    found = pull(place, reference)
    assert set(found.blobs) == set(place.graph.blobs())
    assert place.leftovers() == []
