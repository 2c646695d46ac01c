"""Real images for tests and demonstrations: built from busybox, pushed to Debian's docker-registry on loopback."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from reconciler.drivers.registry import manifests
from reconciler.testing import graph_tars
from reconciler.testing.wait import until

Packing = Literal["gzip", "zstd", "plain"]
#: media types by whether they are Docker's
LAYERS: dict[tuple[bool, Packing], str] = {
    (True, "gzip"): "application/vnd.docker.image.rootfs.diff.tar.gzip",
    (True, "zstd"): "application/vnd.docker.image.rootfs.diff.tar.zstd",
    (True, "plain"): "application/vnd.docker.image.rootfs.diff.tar",
    (False, "gzip"): "application/vnd.oci.image.layer.v1.tar+gzip",
    (False, "zstd"): "application/vnd.oci.image.layer.v1.tar+zstd",
    (False, "plain"): "application/vnd.oci.image.layer.v1.tar",
}
#: applets that the busybox image links
APPLETS: tuple[str, ...] = (
    "sh",
    "httpd",
    "sleep",
    "ls",
    "cat",
    "echo",
    "id",
    "wget",
    "nc",
    "touch",
    "rm",
    "kill",
    "ps",
    "ip",
    "hostname",
    "env",
    "grep",
    "mount",
    "nslookup",
    "true",
    "false",
    "date",
    "head",
    "seq",
    "stat",
    "test",
    "yes",
    "mkdir",
    "pwd",
)
_REGISTRY_CONFIG = """\
version: 0.1
log: {{level: error}}
storage:
  filesystem: {{rootdirectory: {root}/data}}
  delete: {{enabled: true}}
http:
  addr: 127.0.0.1:{port}
"""


@dataclass(frozen=True)
class Image:
    """An image as a registry holds it. ``blobs`` are configuration and layers by digest."""

    manifest: bytes
    media_type: str
    blobs: dict[str, bytes]
    diff_ids: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        return digest(self.manifest)

    @property
    def image_id(self) -> str:
        return str(json.loads(self.manifest)["config"]["digest"])


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def packed(data: bytes, packing: Packing) -> bytes:
    if packing == "gzip":
        return gzip.compress(data, 1, mtime=0)
    if packing == "zstd":
        import zstandard

        return zstandard.ZstdCompressor(level=1).compress(data)
    return data


def build(
    tars: Sequence[bytes],
    config: dict[str, Any] | None = None,
    *,
    docker: bool = False,
    packing: Packing = "gzip",
    platform: manifests.Platform | None = None,
) -> Image:
    """An image of layers given as tar archives, bottom first. ``config`` is the part named so (``Cmd``, ``Env``, …)."""
    place = platform or manifests.host_platform(os.uname().machine)
    diff_ids = [digest(data) for data in tars]
    document = {
        "os": place.os,
        "architecture": place.architecture,
        "config": config or {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }
    raw = json.dumps(document).encode()
    blobs = {digest(raw): raw}
    layers = []
    for data in tars:
        blob = packed(data, packing)
        blobs[digest(blob)] = blob
        layers.append({"mediaType": LAYERS[docker, packing], "digest": digest(blob), "size": len(blob)})
    kind = "application/vnd.docker.container.image.v1+json" if docker else "application/vnd.oci.image.config.v1+json"
    media_type = manifests.DOCKER_MANIFEST if docker else manifests.OCI_MANIFEST
    manifest = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": {"mediaType": kind, "digest": digest(raw), "size": len(raw)},
        "layers": layers,
    }
    return Image(json.dumps(manifest).encode(), media_type, blobs, tuple(diff_ids))


def index(images: Sequence[tuple[Image, manifests.Platform]]) -> bytes:
    """An OCI index of images by platform."""
    entries = [
        {
            "mediaType": image.media_type,
            "digest": image.digest,
            "size": len(image.manifest),
            "platform": {
                key: value
                for key, value in (("os", at.os), ("architecture", at.architecture), ("variant", at.variant))
                if value
            },
        }
        for image, at in images
    ]
    return json.dumps({"schemaVersion": 2, "mediaType": manifests.OCI_INDEX, "manifests": entries}).encode()


def busybox_layer(page: str = "hello from pydock\n") -> bytes:
    """A root file system: busybox with its applets, accounts, and a page below /www."""
    program = pathlib.Path("/bin/busybox").read_bytes()
    accounts = b"root:x:0:0:root:/root:/bin/sh\nwww:x:33:33:www:/www:/bin/sh\n"
    directories = [
        graph_tars.directory(name) for name in (b"bin", b"etc", b"www", b"root", b"proc", b"sys", b"dev", b"run")
    ]
    links = [graph_tars.symlink(b"bin/" + name.encode(), b"busybox") for name in APPLETS]
    return graph_tars.archive(
        [
            *directories,
            graph_tars.directory(b"tmp", 0o1777),
            graph_tars.Member(b"bin/busybox", program, mode=0o755),
            *links,
            graph_tars.Member(b"etc/passwd", accounts),
            graph_tars.Member(b"etc/group", b"root:x:0:\nwww:x:33:\n"),
            graph_tars.Member(b"www/index.html", page.encode()),
        ]
    )


def busybox(
    page: str = "hello from pydock\n",
    command: Sequence[str] = ("/bin/httpd", "-f", "-v", "-p", "80", "-h", "/www"),
    *,
    docker: bool = False,
    packing: Packing = "gzip",
    **config: Any,
) -> Image:
    """A small real image that serves ``page`` on port 80. ``config`` adds to its configuration (``User="www"``, …)."""
    settings = {"Cmd": list(command), "Env": ["PATH=/bin"], "WorkingDir": "/", **config}
    return build([busybox_layer(page)], settings, docker=docker, packing=packing)


def push(address: str, path: str, tag: str, image: Image) -> str:
    """Puts an image into the registry at ``address`` (host:port, plain HTTP); returns its reference."""
    connection = http.client.HTTPConnection(address, timeout=60)
    with contextlib.closing(connection):
        for name, data in image.blobs.items():
            _push_blob(connection, path, name, data)
        put_manifest(connection, path, tag, image.manifest, image.media_type)
    return f"{address}/{path}:{tag}"


def push_index(address: str, path: str, tag: str, images: Sequence[tuple[Image, manifests.Platform]]) -> str:
    """Puts several images and an index over them into the registry; returns the reference."""
    for image, _ in images:
        push(address, path, image.digest.replace(":", "-")[:60], image)
    with contextlib.closing(http.client.HTTPConnection(address, timeout=60)) as connection:
        put_manifest(connection, path, tag, index(images), manifests.OCI_INDEX)
    return f"{address}/{path}:{tag}"


def put_manifest(connection: http.client.HTTPConnection, path: str, tag: str, raw: bytes, media_type: str) -> None:
    _ask(connection, "PUT", f"/v2/{path}/manifests/{tag}", raw, {"Content-Type": media_type})


def _push_blob(connection: http.client.HTTPConnection, path: str, name: str, data: bytes) -> None:
    location = _ask(connection, "POST", f"/v2/{path}/blobs/uploads/", b"", {})
    joint = "&" if "?" in location else "?"
    where = location[location.index("/v2/") :]
    _ask(connection, "PUT", f"{where}{joint}digest={name}", data, {"Content-Type": "application/octet-stream"})


def _ask(connection: http.client.HTTPConnection, method: str, path: str, body: bytes, headers: dict[str, str]) -> str:
    """Returns the answer's Location."""
    connection.request(method, path, body, {"Content-Length": str(len(body)), **headers})
    response = connection.getresponse()
    words = response.read()
    if response.status >= 300:
        raise RuntimeError(f"{method} {path}: HTTP {response.status} {words[:500]!r}")
    return response.headers.get("Location", "")


@dataclass
class Server:
    """A running docker-registry. ``address`` is host:port."""

    address: str
    directory: pathlib.Path
    process: subprocess.Popen[bytes] = field(repr=False)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def start_registry(directory: pathlib.Path, port: int = 0, auth: str = "", tls: str = "") -> Server:
    """Starts ``docker-registry`` with its data in ``directory``, on loopback; returns once it answers. ``auth`` and
    ``tls`` are those sections of its configuration; several registries may have the same data, one of them open."""
    number = port or free_port()
    config = directory / f"registry-{number}.yml"
    config.write_text(_REGISTRY_CONFIG.format(root=directory, port=number) + tls + auth)
    with open(directory / "registry.log", "ab") as log:
        process = subprocess.Popen(
            ["docker-registry", "serve", str(config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    server = Server(f"127.0.0.1:{number}", directory, process)
    try:
        until(lambda: _answers(server), 20, f"docker-registry on {server.address}")
    except BaseException:
        server.stop()
        raise
    return server


@contextlib.contextmanager
def registry() -> Iterator[Server]:
    """A docker-registry in a temporary directory, for as long as the block runs."""
    with tempfile.TemporaryDirectory(prefix="pydock-registry-") as directory:
        server = start_registry(pathlib.Path(directory))
        try:
            yield server
        finally:
            server.stop()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(server: Server) -> bool:
    if server.process.poll() is not None:
        raise RuntimeError(f"docker-registry ended: {(server.directory / 'registry.log').read_text()[-2000:]}")
    with contextlib.closing(http.client.HTTPConnection(server.address, timeout=5)) as connection:
        try:
            connection.request("GET", "/v2/")
            # 400: it has TLS
            return connection.getresponse().status in (200, 400, 401)
        except OSError:
            return False
