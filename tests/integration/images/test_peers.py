"""Images made and pushed by umoci, skopeo and buildah: pulled from a real registry, their tree is the one that
``umoci unpack`` makes, whatever the driver, and it runs."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from reconciler.drivers.registry import client, manifests
from reconciler.engine import images as pulls
from reconciler.model import references
from reconciler.testing import graph_tars as tars
from reconciler.testing import graph_trees, images
from reconciler.testing.graph_suite import Place

UPPER = [
    tars.whiteout(b"bin/sg"),
    tars.whiteout(b"link"),
    tars.Member(b"bin/new", b"new", mode=0o755),
    tars.opaque(b"tmp"),
    tars.directory(b"tmp", 0o1777),
    tars.Member(b"tmp/fresh", b"z"),
    tars.hard_link(b"bin/newer", b"bin/new"),
]
#: named by no member: their times are nobody's, and theirs are of the day
UNNAMED = (".", "implied", "implied/by")


class Made(NamedTuple):
    """An image in the registry, and the tree that umoci makes of it."""

    reference: str
    tree: dict[str, graph_trees.Node]


class Peers:
    """What others make of one image with two layers on top of busybox's."""

    def __init__(self, address: str, work: pathlib.Path) -> None:
        self.address, self.work = address, work

    def run(self, *words: str | pathlib.Path) -> str:
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True, cwd=self.work)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def at(self, name: str) -> str:
        return f"{self.address}/{name}:v1"

    def ours(self, name: str, *, docker: bool = False, packing: images.Packing = "gzip") -> str:
        return images.push(self.address, name, "v1", image(docker, packing, name))

    def index(self, name: str) -> str:
        host, other = manifests.host_platform(os.uname().machine), manifests.Platform("linux", "s390x")
        wrong = images.build([images.busybox_layer("wrong\n")], platform=other)
        images.push_index(self.address, f"{name}-first", "v1", [(wrong, other), (image(), host)])
        copy = ("skopeo", "copy", "--all", "--src-tls-verify=false", "--dest-tls-verify=false")
        self.run(*copy, f"docker://{self.at(name + '-first')}", f"docker://{self.at(name)}")
        return self.at(name)

    def skopeo(self, name: str, form: str, packing: str) -> str:
        """Plain layers, of which the registry has none, so that skopeo packs them."""
        layout, target = self.work / f"{name}-plain", f"docker://{self.at(name)}"
        with images.registry() as server:
            source = f"docker://{images.push(server.address, name, 'v1', image(packing='plain', last=name))}"
            self.run("skopeo", "copy", "--src-tls-verify=false", source, f"dir:{layout}")
        copy = ("skopeo", "copy", "--dest-tls-verify=false", "--format", form)
        self.run(*copy, "--dest-compress-format", packing, f"dir:{layout}", target)
        assert self.media_types(self.at(name)).count(packing) == len(image().diff_ids)
        return self.at(name)

    def media_types(self, reference: str) -> str:
        """Those of a manifest's layers."""
        raw = self.run("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{reference}")
        return " ".join(layer["mediaType"] for layer in json.loads(raw).get("layers", ()))

    def umoci(self, name: str) -> str:
        layout, bundle = self.layout(self.ours(f"{name}-first"), name), self.work / f"{name}-bundle"
        self.run("umoci", "unpack", "--image", f"{layout}:v1", bundle)
        change(bundle / "rootfs")
        self.run("umoci", "repack", "--image", f"{layout}:v2", bundle)
        self.run("skopeo", "copy", "--dest-tls-verify=false", f"oci:{layout}:v2", f"docker://{self.at(name)}")
        return self.at(name)

    def buildah(self, name: str, form: str) -> str:
        self.ours(f"{name}-first")
        store = self.work / "buildah"
        tool = ("buildah", "--root", store / "root", "--runroot", store / "run", "--storage-driver", "vfs")
        made = self.run(*tool, "from", "--tls-verify=false", f"docker://{self.at(name + '-first')}")
        change(pathlib.Path(self.run(*tool, "mount", made)))
        self.run(*tool, "commit", "--format", form, made, name)
        self.run(*tool, "push", "--tls-verify=false", name, f"docker://{self.at(name)}")
        return self.at(name)

    def layout(self, reference: str, name: str) -> pathlib.Path:
        found = self.work / f"{name}-layout"
        self.run("skopeo", "copy", "--src-tls-verify=false", f"docker://{reference}", f"oci:{found}:v1")
        return found

    def unpacked(self, reference: str) -> Made:
        """``umoci unpack`` of what is in the registry, kept as a description. It cannot read zstd: then of the same
        layers in gzip."""
        if "zstd" in self.media_types(reference):
            name = references.parse(reference).path
            twin = images.push(self.address, f"{name}-twin", "v1", image(last=name))
            return self.unpacked(twin)._replace(reference=reference)
        name = f"theirs-{references.parse(reference).path.replace('/', '-')}"
        layout, bundle = self.layout(reference, name), self.work / name
        try:
            self.run("umoci", "unpack", "--image", f"{layout}:v1", bundle)
            return Made(reference, graph_trees.describe(str(bundle / "rootfs")))
        finally:
            shutil.rmtree(bundle, ignore_errors=True)


def image(docker: bool = False, packing: images.Packing = "gzip", last: str = "") -> images.Image:
    """``last`` is the content of a file, so that no two with another one share their layers."""
    only = [tars.Member(b"last", last.encode())]
    below = [images.busybox_layer(f"hello from {last}\n"), tars.archive([*tars.nasty(), *only])]
    layers = [*below, tars.archive([*UPPER, *only])]
    return images.build(layers, {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]}, docker=docker, packing=packing)


def change(root: pathlib.Path) -> None:
    """What a build does to a tree: adds, removes, replaces, links, and says other things of what is there."""
    (root / "bin/added").write_text("added")
    os.chmod(root / "bin/added", 0o4711)
    os.chown(root / "bin/noted", 12, 34)
    os.setxattr(root / "bin/added", "user.added", b"\0\xff")
    os.setxattr(root / "bin/su2", "user.linked", b"1")
    os.link(root / "bin/added", root / "added-too")
    os.symlink("bin/added", root / "to-added")
    os.unlink(root / "old")
    shutil.rmtree(root / "setgid")
    os.unlink(root / "snow☃")
    (root / "snow☃").mkdir()
    (root / "snow☃/in").touch()
    shutil.rmtree(root / "locked")
    (root / "locked").write_text("a file now")
    os.mknod(root / "zero", 0o20644, os.makedev(1, 5))
    (root / os.fsdecode(b"new-\xff")).write_text("latin")


MAKERS: dict[str, Callable[[Peers, str], str]] = {
    **{
        f"ours-{packing}-{'docker' if docker else 'oci'}": (
            lambda peers, name, d=docker, p=packing: peers.ours(name, docker=d, packing=p)  # type: ignore[misc]
        )
        for packing in ("gzip", "zstd", "plain")
        for docker in (True, False)
        if (packing, docker) != ("zstd", True)  # which skopeo does not read
    },
    "skopeo-index": Peers.index,
    "skopeo-oci-gzip": lambda peers, name: peers.skopeo(name, "oci", "gzip"),
    "skopeo-oci-zstd": lambda peers, name: peers.skopeo(name, "oci", "zstd"),
    "skopeo-docker": lambda peers, name: peers.skopeo(name, "v2s2", "gzip"),
    "umoci-repack": Peers.umoci,
    "buildah-oci": lambda peers, name: peers.buildah(name, "oci"),
    "buildah-docker": lambda peers, name: peers.buildah(name, "docker"),
}


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    with images.registry() as server:
        yield Peers(server.address, tmp_path_factory.mktemp("peers"))


@pytest.mark.parametrize("maker", MAKERS)
def test_the_tree_is_the_one_that_umoci_makes(
    peers: Peers, btrfs: pathlib.Path, tmp_path: pathlib.Path, maker: str
) -> None:
    made = peers.unpacked(MAKERS[maker](peers, maker))
    for driver, root in (("overlay", tmp_path), ("vfs", tmp_path), ("btrfs", btrfs / tmp_path.name)):
        place = Place(root / driver, driver)
        try:
            found = pulls.pull(references.parse(made.reference), client.RegistryClient(), place.graph)
            rootfs = place.driver.prepare("x", found.chain)
            ours = graph_trees.describe(rootfs)
            theirs = dict(made.tree)
            for tree in (ours, theirs):
                for path in UNNAMED:
                    tree.pop(path, None)
            assert graph_trees.differences(ours, theirs) == [], driver
            ran = subprocess.run(["chroot", rootfs, "/bin/cat", "/www/index.html"], capture_output=True, check=True)
            assert ran.stdout.startswith(b"hello from ")
        finally:
            place.close()
