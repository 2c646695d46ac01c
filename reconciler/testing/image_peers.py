"""Images that others make and push: skopeo, buildah, umoci and docker, with the packings and media types each can."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

from reconciler.drivers.registry import manifests
from reconciler.model import references
from reconciler.testing import graph_tars as tars
from reconciler.testing import graph_trees, images
from reconciler.testing.docker import Docker

UPPER = [
    tars.whiteout(b"bin/sg"),
    tars.whiteout(b"link"),
    tars.Member(b"bin/new", b"new", mode=0o755),
    tars.opaque(b"tmp"),
    tars.directory(b"tmp", 0o1777),
    tars.Member(b"tmp/fresh", b"z"),
    tars.hard_link(b"bin/newer", b"bin/new"),
]


#: what a build does to the tree of ``image``, as far as busybox can
_COMMANDS = """\
set -e; cd /; echo added > bin/added; chmod 4711 bin/added; mkdir -p new/er; touch -d 2001-02-03 new/er/file
rm -rf setgid locked old; echo now > locked; mkdir snow; touch snow/in; rm www/gone 2>/dev/null || true"""
_DOCKERFILE = """\
FROM {base}
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
COPY --chown=12:34 www /www
RUN echo gone > /www/gone; ln /www/index.html /www/linked; mkdir -p /older/in; touch /older/file
RUN rm -r /www/gone /older; mkdir /older; touch /older/other; mkdir -m 1777 /open; chmod 4711 /www/linked
ENV PATH=/bin
CMD ["/bin/sh"]
"""


class Peers:
    """What others make of one image with two layers on top of busybox's, and of an index over it."""

    def __init__(self, address: str, work: pathlib.Path, docker: Docker) -> None:
        self.address, self.work, self._docker = address, work, docker
        store = work / "buildah"
        self._buildah = ("buildah", "--root", store / "root", "--runroot", store / "run", "--storage-driver", "vfs")

    def run(self, *words: str | pathlib.Path) -> str:
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True, cwd=self.work)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def at(self, name: str) -> str:
        return f"{self.address}/{name}:v1"

    def ours(self, name: str, *, docker: bool = False, packing: images.Packing = "gzip") -> str:
        return images.push(self.address, name, "v1", image(docker, packing, name))

    def skopeo_index(self, name: str, form: str) -> str:
        host, other = manifests.host_platform(os.uname().machine), manifests.Platform("linux", "s390x")
        images.push_index(self.address, f"{name}-first", "v1", [(foreign(), other), (image(last=name), host)])
        copy = ("skopeo", "copy", "--all", "--format", form, "--src-tls-verify=false", "--dest-tls-verify=false")
        self.run(*copy, f"docker://{self.at(name + '-first')}", f"docker://{self.at(name)}")
        return self.expect(name, docker=form == "v2s2", index=True)

    def skopeo(self, name: str, form: str, packing: images.Packing) -> str:
        """Plain layers, of which the registry has none, so that skopeo packs them."""
        layout, docker = self.work / f"{name}-plain", form == "v2s2"
        with images.registry() as server:
            source = images.push(server.address, name, "v1", image(docker, "plain", last=name))
            self.run("skopeo", "copy", "--src-tls-verify=false", f"docker://{source}", f"dir:{layout}")
        how = ("--preserve-digests",) if packing == "plain" else ("--dest-compress-format", packing)
        copy = ("skopeo", "copy", "--dest-tls-verify=false", *how, "--format", form)
        self.run(*copy, f"dir:{layout}", f"docker://{self.at(name)}")
        return self.expect(name, packing, docker)

    def umoci(self, name: str, form: str, packing: images.Packing) -> str:
        layout, bundle = self.layout(self.ours(f"{name}-first"), name), self.work / f"{name}-bundle"
        self.run("umoci", "unpack", "--image", f"{layout}:v1", bundle)
        change(bundle / "rootfs")
        self.run("umoci", "repack", "--image", f"{layout}:v2", bundle)
        copy = ("skopeo", "copy", "--dest-tls-verify=false", "--dest-compress-format", packing, "--format", form)
        self.run(*copy, f"oci:{layout}:v2", f"docker://{self.at(name)}")
        return self.expect(name, packing, form == "v2s2", top=True)

    def buildah(self, name: str, form: str, packing: images.Packing) -> str:
        if packing == "plain":  # which it gives to a directory alone, and only layers of its own making
            self._build(name, form, scratch=True)
            kept, copy = self.work / f"{name}-kept", ("skopeo", "copy", "--preserve-digests", "--dest-tls-verify=false")
            self.run(*self._buildah, "push", "--disable-compression", name, f"dir:{kept}")
            self.run(*copy, f"dir:{kept}", f"docker://{self.at(name)}")
        else:
            self._build(name, form)
            push = ("push", "--tls-verify=false", "--compression-format", packing)
            self.run(*self._buildah, *push, name, f"docker://{self.at(name)}")
        return self.expect(name, packing, form == "docker", top=True)

    def buildah_index(self, name: str, form: str) -> str:
        self._build(name, "oci" if form == "oci" else "docker")
        images.push(self.address, f"{name}-other", "v1", foreign())
        self.run(*self._buildah, "manifest", "create", f"{name}-list")
        self.run(*self._buildah, "manifest", "add", "--tls-verify=false", f"{name}-list", self.at(f"{name}-other"))
        self.run(*self._buildah, "manifest", "add", f"{name}-list", name)
        push = ("manifest", "push", "--all", "--format", form, "--tls-verify=false")
        self.run(*self._buildah, *push, f"{name}-list", f"docker://{self.at(name)}")
        return self.expect(name, docker=form == "v2s2", index=True)

    def _build(self, name: str, form: str, scratch: bool = False) -> None:
        first = self.ours(f"{name}-first")
        base = "scratch" if scratch else f"docker://{first}"
        made = self.run(*self._buildah, "from", "--tls-verify=false", base)
        root = pathlib.Path(self.run(*self._buildah, "mount", made))
        if scratch:
            bundle = self.work / f"{name}-bundle"
            self.run("umoci", "unpack", "--image", f"{self.layout(first, f'{name}-first')}:v1", bundle)
            self.run("cp", "-a", f"{bundle}/rootfs/.", root)
        change(root)
        self.run(*self._buildah, "commit", "--format", form, made, name)

    def docker_build(self, name: str, base: str = "") -> str:
        """From nothing, or on top of ``base``: files with all that a build context keeps, and commands."""
        context = self.work / f"{name}-context"
        (context / "www").mkdir(parents=True)
        (context / "www/index.html").write_text(f"hello from {name}\n")
        shutil.copy("/bin/busybox", context)
        (context / "Dockerfile").write_text(_DOCKERFILE.format(base=base or "scratch"))
        self._docker.ask("build", "-q", "--network=none", "-t", self.at(name), context)
        return self._docker_push(name)

    def docker_commit(self, name: str) -> str:
        first = self.ours(f"{name}-first")
        self._docker.ask("run", "--network=none", "--name", name, first, "/bin/sh", "-c", _COMMANDS)
        self._docker.ask("commit", name, self.at(name))
        self._docker.ask("rm", name)
        return self._docker_push(name)

    def docker_load(self, name: str) -> str:
        archive = self.work / f"{name}.tar"
        layers = [images.busybox_layer(f"hello from {name}\n"), tars.archive(UPPER)]
        first = images.push(self.address, f"{name}-first", "v1", images.build(layers))
        copy = ("skopeo", "copy", "--src-tls-verify=false", f"docker://{first}")
        self.run(*copy, f"docker-archive:{archive}:{self.at(name)}")
        self._docker.ask("load", "-i", archive)
        return self._docker_push(name)

    def docker_list(self, name: str) -> str:
        other, mine = (self.docker_build(f"{name}-{part}") for part in ("other", "mine"))
        self._docker.ask("manifest", "create", "--insecure", self.at(name), other, mine)
        self._docker.ask("manifest", "annotate", "--arch", "s390x", self.at(name), other)
        self._docker.ask("manifest", "push", "--insecure", self.at(name))
        return self.expect(name, docker=True, index=True)

    def _docker_push(self, name: str) -> str:
        self._docker.ask("push", "-q", self.at(name))
        return self.expect(name, "gzip", docker=True)

    def expect(
        self, name: str, packing: images.Packing = "gzip", docker: bool = False, index: bool = False, top: bool = False
    ) -> str:
        """The reference of what was pushed, which is of the media types that this case is about: tools fall back to
        others without a word. ``top``: the layers below are those that the registry had."""
        found = self.manifest(self.at(name))
        if index:
            assert found["mediaType"] == (manifests.DOCKER_LIST if docker else manifests.OCI_INDEX)
            return self.at(name)
        kinds = [layer["mediaType"] for layer in found["layers"]]
        assert set(kinds[-1:] if top else kinds) == {images.LAYERS[docker, packing]}, kinds
        return self.at(name)

    def manifest(self, reference: str) -> dict[str, Any]:
        """A manifest or index as the registry has it."""
        raw = self.run("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{reference}")
        return dict(json.loads(raw))

    def layout(self, reference: str, name: str) -> pathlib.Path:
        """An OCI layout with this host's image. Its layers are gzip's, since umoci cannot read zstd."""
        found = self.work / f"{name}-layout"
        copy = ("skopeo", "copy", "--src-tls-verify=false", "--dest-compress", "--dest-compress-format", "gzip")
        self.run(*copy, f"docker://{reference}", f"oci:{found}:v1")
        return found

    def unpacked(self, reference: str) -> dict[str, graph_trees.Node]:
        """The tree that ``umoci unpack`` makes of what is in the registry."""
        name = f"theirs-{references.parse(reference).path.replace('/', '-')}"
        layout, bundle = self.layout(reference, name), self.work / name
        try:
            self.run("umoci", "unpack", "--image", f"{layout}:v1", bundle)
            return graph_trees.describe(str(bundle / "rootfs"))
        finally:
            shutil.rmtree(bundle, ignore_errors=True)


def image(docker: bool = False, packing: images.Packing = "gzip", last: str = "") -> images.Image:
    """``last`` is the content of a file, so that no two with another one share their layers."""
    only = [tars.Member(b"last", last.encode())]
    below = [images.busybox_layer(f"hello from {last}\n"), tars.archive([*tars.nasty(), *only])]
    layers = [*below, tars.archive([*UPPER, *only])]
    return images.build(layers, {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]}, docker=docker, packing=packing)


def foreign() -> images.Image:
    """An image that does not run here."""
    other = manifests.Platform("linux", "s390x")
    return images.build([images.busybox_layer("wrong\n")], platform=other)


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


#: by name, which is the path of what it pushes: returns its reference
MAKERS: dict[str, Callable[[Peers, str], str]] = {
    **{
        f"ours-{packing}-{'docker' if docker else 'oci'}": (
            lambda peers, name, d=docker, p=packing: peers.ours(name, docker=d, packing=p)  # type: ignore[misc]
        )
        for packing in ("gzip", "zstd", "plain")
        for docker in (True, False)
        if (packing, docker) != ("zstd", True)  # which skopeo does not read
    },
    "skopeo-index-oci": lambda peers, name: peers.skopeo_index(name, "oci"),
    "skopeo-index-docker": lambda peers, name: peers.skopeo_index(name, "v2s2"),
    "skopeo-gzip-oci": lambda peers, name: peers.skopeo(name, "oci", "gzip"),
    "skopeo-zstd-oci": lambda peers, name: peers.skopeo(name, "oci", "zstd"),
    "skopeo-plain-oci": lambda peers, name: peers.skopeo(name, "oci", "plain"),
    "skopeo-gzip-docker": lambda peers, name: peers.skopeo(name, "v2s2", "gzip"),
    "skopeo-plain-docker": lambda peers, name: peers.skopeo(name, "v2s2", "plain"),
    "umoci-gzip-oci": lambda peers, name: peers.umoci(name, "oci", "gzip"),
    "umoci-zstd-oci": lambda peers, name: peers.umoci(name, "oci", "zstd"),
    "umoci-gzip-docker": lambda peers, name: peers.umoci(name, "v2s2", "gzip"),
    "buildah-gzip-oci": lambda peers, name: peers.buildah(name, "oci", "gzip"),
    "buildah-zstd-oci": lambda peers, name: peers.buildah(name, "oci", "zstd"),
    "buildah-plain-oci": lambda peers, name: peers.buildah(name, "oci", "plain"),
    "buildah-gzip-docker": lambda peers, name: peers.buildah(name, "docker", "gzip"),
    "buildah-plain-docker": lambda peers, name: peers.buildah(name, "docker", "plain"),
    "buildah-index-oci": lambda peers, name: peers.buildah_index(name, "oci"),
    "buildah-index-docker": lambda peers, name: peers.buildah_index(name, "v2s2"),
    "docker-build": Peers.docker_build,
    "docker-build-on-ours": lambda peers, name: peers.docker_build(name, peers.ours(f"{name}-first")),
    "docker-commit": Peers.docker_commit,
    "docker-load": Peers.docker_load,
    "docker-list": Peers.docker_list,
}
