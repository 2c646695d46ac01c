"""The stage: a registry with one image, pydock on its embedded defaults, and its peers, all in one temporary directory.

Each part is made when a row first asks for it. ``close`` removes all of them, whatever state they are in.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import shutil
import socket
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any

from bench import apart, big, clock
from bench.memory import children
from bench.peers.bare import Bare
from bench.peers.podman import Podman
from reconciler.testing import images
from reconciler.testing.daemon import Pydockd

#: ports below those that the kernel gives to clients
_FIRST_PORT, _PORTS = 20_000, 10_000


class Stage:
    """``quick`` asks rows for fewer rounds."""

    def __init__(self, quick: bool) -> None:
        self.quick = quick
        self._undo = contextlib.ExitStack()
        self.work = Path(tempfile.mkdtemp(prefix="pydock-bench-"))
        self._undo.callback(shutil.rmtree, self.work, ignore_errors=True)
        self._cgroup = "bench" + secrets.token_hex(4)
        self._undo.callback(apart.Cgroups(self._cgroup, "libpod_parent").close)
        self._count = itertools.count()

    def close(self) -> None:
        """Removes all parts, the last made first; raises the first error once everything has been tried."""
        self._undo.close()

    def rounds(self, many: int, few: int) -> range:
        return range(few if self.quick else many)

    @cached_property
    def registry(self) -> str:
        """The address of a real registry."""
        directory = self.work / "registry"
        directory.mkdir()
        server = images.start_registry(directory)
        self._undo.callback(server.stop)
        return server.address

    @cached_property
    def image(self) -> str:
        """The reference of an image whose command serves a page on port 80."""
        return images.push(self.registry, "bench/httpd", "1", images.busybox())

    def big(self, tag: str) -> str:
        """The reference of one of the images of ``big.make``."""
        return f"{self._big}:{tag}"

    @cached_property
    def _big(self) -> str:
        repository = f"{self.registry}/bench/big"
        layout = big.make(self.work / "layout")
        layout.push(repository)
        shutil.rmtree(layout.directory)
        return repository

    @cached_property
    def host(self) -> Host:
        """A daemon that has the image, with no container."""
        host = Host(self.work / "host", self.image)
        self._undo.callback(host.close)
        host.begin()
        return host

    @cached_property
    def thirty(self) -> Host:
        """A daemon with 30 containers from its directory, all of which serve."""
        host = Host(self.work / "thirty", self.image)
        self._undo.callback(host.close)
        host.begin()
        host.drop(self.ports("held", 30))
        clock.served(host.dropped.values())
        return host

    @cached_property
    def podman(self) -> Podman:
        podman = Podman(self.work / "podman", self.bare.facts.path, self.image, f"/{self._cgroup}")
        self._undo.callback(podman.close)
        return podman

    @cached_property
    def bare(self) -> Bare:
        bare = Bare(self.work / "bare")
        self._undo.callback(bare.close)
        return bare

    def ports(self, prefix: str, count: int) -> dict[str, int]:
        """New names, each with a port that nothing listens on."""
        found: dict[str, int] = {}
        while len(found) < count:
            number = next(self._count)
            if _free(port := _FIRST_PORT + number % _PORTS):
                found[f"{prefix}-{number}"] = port
        return found

    def port(self, prefix: str) -> tuple[str, int]:
        ((name, port),) = self.ports(prefix, 1).items()
        return name, port


class Host(Pydockd):
    """A daemon as ``pydockd`` is installed: no debugging, timed resync as it comes."""

    def __init__(self, work: Path, image: str) -> None:
        super().__init__(work, debug=False, run=apart.RUN / work.name)
        self.image = image
        self.dropped: dict[str, int] = {}

    def begin(self) -> None:
        """Ready, the image pulled."""
        self.start()
        done = self.cli("pull", self.image)
        assert done.returncode == 0, done.stderr

    def document(self, name: str, port: int) -> dict[str, Any]:
        return {
            "apiVersion": "pydock.dev/v1", "kind": "Container", "metadata": {"name": name},
            "spec": {
                "image": self.image, "terminationGracePeriodSeconds": 0,
                "ports": [{"containerPort": 80, "hostPort": port, "hostIP": "127.0.0.1"}],
            },
        }  # fmt: skip

    def text(self, name: str, port: int) -> str:
        """The same as a person writes it."""
        return (
            f"apiVersion: pydock.dev/v1\nkind: Container\nmetadata:\n  name: {name}\nspec:\n  image: {self.image}\n"
            "  terminationGracePeriodSeconds: 0\n"
            f"  ports:\n    - containerPort: 80\n      hostPort: {port}\n      hostIP: 127.0.0.1\n"
        )

    def drop(self, ports: dict[str, int]) -> None:
        """One file each into the directory."""
        self.dropped |= ports
        for name, port in ports.items():
            (self.manifests / f"{name}.yaml").write_text(self.text(name, port))

    def lift(self) -> None:
        """The files away again, and the prune acknowledged, as the guard of sources asks for."""
        for name in self.dropped:
            (self.manifests / f"{name}.yaml").unlink()
        self.dropped.clear()
        clock.until(self._emptied, "all containers to be gone")

    def run_one(self, name: str, port: int) -> None:
        self.apply(self.document(name, port))
        clock.served([port])

    def remove(self, *names: str) -> None:
        """Deletes over the API and waits until they are gone."""
        for name in names:
            self.delete("Container", name)
        left = set(names)

        def gone() -> bool:
            left.difference_update([name for name in left if self.get("Container", name) is None])
            return not left

        clock.until(gone, f"{len(names)} containers to be gone")

    def processes(self) -> dict[str, int]:
        """Process ids of all that pydockd is made of: controller, gunicorn's arbiter, API."""
        assert self.process is not None
        found = {"controller": self.process.pid}
        arbiter = next(pid for pid in children(self.process.pid) if b"reconciler.wsgi" in command(pid))
        return {**found, "arbiter": arbiter, "api": children(arbiter)[0]}


def command(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def missing_programs() -> list[str]:
    """What the stage needs and this host lacks."""
    needed = (
        "podman",
        "conmon",
        "runc",
        "docker-registry",
        "busybox",
        "ip",
        "nft",
        "dockerd",
        "docker",
        "skopeo",
        "debootstrap",
        "mkfs.ext4",
    )
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    return [name for name in needed if shutil.which(name, path=path) is None]
