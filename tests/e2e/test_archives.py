"""``pydock image load``, ``save`` and ``import``: archives of others are run here, ours by others, and bad ones leave
nothing."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import pathlib
import signal
import socket
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator

import pytest
import zstandard

from reconciler.testing import graph_tars as tars
from reconciler.testing import images, wait
from reconciler.testing.daemon import BIN, Pydockd, container
from reconciler.testing.docker import Docker
from reconciler.testing.images import Image

LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"


@pytest.fixture(autouse=True)
def nothing_before(host: Pydockd) -> Iterator[None]:
    yield
    host.remove_all()
    host.cli("image", "prune", "--all", "--yes")
    host.cli("system", "prune", "--all", "--yes")


def good(host: Pydockd, *words: str) -> str:
    done = host.cli(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def digests(host: Pydockd) -> dict[str, str]:
    listed = host.api("GET", "/apis/pydock.dev/v1/graph/images")["items"]
    return {item["reference"]: item["digest"] for item in listed}


def disk(host: Pydockd) -> set[str]:
    """What the graph has of blobs, layers and temporary files."""
    graph = host.root / "graph"
    return {str(path.relative_to(graph)) for place in ("blobs/sha256", "layers", "chains", "tmp")
            for path in (graph / place).iterdir()}  # fmt: skip


def runs(host: Pydockd, name: str, reference: str) -> None:
    host.apply(container(name, reference))
    assert host.wait_ready_container(name)


def run(*words: object, cwd: pathlib.Path | None = None) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, cwd=cwd, timeout=300)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


# what we save


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
def test_what_was_saved_comes_back_the_same(host: Pydockd, image: str, tmp_path: pathlib.Path, form: str) -> None:
    good(host, "pull", image)
    before = digests(host)
    file = tmp_path / "saved.tar"
    assert good(host, "image", "save", "--format", form, "-o", str(file), image) == ""
    assert list(tmp_path.iterdir()) == [file], "nothing is left aside"
    good(host, "image", "rm", image)
    assert digests(host) == {}
    assert good(host, "image", "load", "-i", str(file)) == f"Loaded image: {image}\n"
    assert digests(host) == before
    runs(host, "loaded", image)


def test_layers_that_images_share_are_saved_once(
    host: Pydockd, registry: images.Server, tmp_path: pathlib.Path
) -> None:
    shared = tars.archive([tars.Member(b"shared", os.urandom(300_000))])
    for name in ("one", "two"):
        own = tars.archive([tars.Member(name.encode(), b"own")])
        images.push(registry.address, name, "1", images.build([shared, own], {"Cmd": [name]}))
    names = [f"{registry.address}/{name}:1" for name in ("one", "two")]
    for name in names:
        good(host, "pull", name)
    file = tmp_path / "both.tar"
    good(host, "image", "save", "-o", str(file), *names)
    assert file.stat().st_size < 400_000
    before = digests(host)
    good(host, "image", "rm", *names)
    assert sorted(good(host, "image", "load", "-i", str(file)).splitlines()) == sorted(
        f"Loaded image: {name}" for name in names
    )
    assert digests(host) == before


def test_docker_loads_and_runs_what_we_save(host: Pydockd, image: str, tmp_path: pathlib.Path, docker: Docker) -> None:
    good(host, "pull", image)
    good(host, "image", "save", "-o", str(tmp_path / "ours.tar"), image)
    assert image in docker.ask("load", "-i", tmp_path / "ours.tar")
    assert docker.ask("run", "--rm", "--network", "none", image, "/bin/echo", "seen") == "seen"
    docker.ask("rmi", "-f", image)


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
def test_podman_and_skopeo_take_what_we_save(
    host: Pydockd, image: str, tmp_path: pathlib.Path, podman: Callable[..., str], form: str
) -> None:
    good(host, "pull", image)
    file = tmp_path / "ours.tar"
    good(host, "image", "save", "--format", form, "-o", str(file), image)
    run("skopeo", "copy", f"{form}:{file}", f"dir:{tmp_path / 'dir'}")
    manifest = json.loads((tmp_path / "dir" / "manifest.json").read_text())
    assert len(manifest["layers"]) == 1
    assert image in podman("load", "-i", str(file))
    assert podman("run", "--rm", "--network", "none", image, "/bin/echo", "seen") == "seen\n"
    podman("rmi", "-f", image)


def test_an_archive_goes_through_pipes(host: Pydockd, image: str) -> None:
    good(host, "pull", image)
    before = digests(host)
    pydock = f"{BIN / 'pydock'} -H unix://{host.socket}"
    script = f"{pydock} image save {image} | (sleep 0.1; gzip -1) | {pydock} image load --name piped:1"
    assert run("sh", "-c", script) == "Loaded image: docker.io/library/piped:1\n"
    assert digests(host)["docker.io/library/piped:1"] == before[image]


# what others save


def test_what_docker_saves(host: Pydockd, image: str, tmp_path: pathlib.Path, docker: Docker) -> None:
    docker.ask("pull", "-q", image)
    file = tmp_path / "theirs.tar"
    docker.ask("save", "-o", file, image)
    docker.ask("rmi", "-f", image)
    assert good(host, "image", "load", "-i", str(file)) == f"Loaded image: {image}\n"
    runs(host, "of-docker", image)


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive", "docker-archive.gz"])
def test_what_podman_saves(
    host: Pydockd, image: str, tmp_path: pathlib.Path, podman: Callable[..., str], form: str
) -> None:
    podman("pull", "-q", "--tls-verify=false", image)
    file = tmp_path / "theirs.tar"
    podman("save", "-q", "--format", form.removesuffix(".gz"), "-o", str(file), image)
    podman("rmi", "-f", image)
    if form.endswith(".gz"):
        run("gzip", "-1", file)
        file = tmp_path / "theirs.tar.gz"
    assert good(host, "image", "load", "-i", str(file)) == f"Loaded image: {image}\n"
    runs(host, "of-podman", image)


def test_what_skopeo_and_umoci_make(host: Pydockd, image: str, tmp_path: pathlib.Path) -> None:
    """An OCI layout is a directory too, and names its images by tags alone."""
    layout = tmp_path / "layout"
    run("skopeo", "copy", "--src-tls-verify=false", f"docker://{image}", f"oci:{layout}:v1")
    nameless = host.cli("image", "load", "-i", str(layout))
    assert nameless.returncode == 1
    assert "does not say how image" in nameless.stderr
    assert good(host, "image", "load", "-i", str(layout), "--name", "of/skopeo:1").startswith(
        "Loaded image: docker.io/"
    )
    run("umoci", "unpack", "--image", f"{layout}:v1", tmp_path / "bundle")
    (tmp_path / "bundle" / "rootfs" / "new").write_text("new\n")
    run("umoci", "repack", "--image", f"{layout}:v2", tmp_path / "bundle")
    run("umoci", "rm", "--image", f"{layout}:v1")
    good(host, "image", "load", "-i", str(layout), "--name", "of/umoci:2")
    runs(host, "of-umoci", "of/umoci:2")


# root file systems


@pytest.mark.parametrize(
    "pack",
    [bytes, gzip.compress, bz2.compress, lzma.compress, zstandard.ZstdCompressor().compress],
    ids=["plain", "gzip", "bzip2", "xz", "zstd"],
)
def test_an_import_runs(host: Pydockd, tmp_path: pathlib.Path, pack: Callable[[bytes], bytes]) -> None:
    file = tmp_path / "rootfs"
    file.write_bytes(pack(images.busybox_layer()))
    changes = ['CMD ["/bin/sh", "-c", "echo $GREETING; exec sleep 3600"]', "ENV GREETING=hello", "WORKDIR /bin"]
    words = [word for change in changes for word in ("-c", change)]
    made = good(host, "image", "import", *words, "-m", "by hand", str(file), "made:1")
    assert made.startswith("docker.io/library/made:1: sha256:")
    host.apply({**container("made", "made:1"), "spec": {"image": "made:1", "terminationGracePeriodSeconds": 0}})
    host.wait_ready_container("made")
    wait.until(lambda: host.cli("logs", "made").stdout == "hello\n", 10, "what the container says")
    assert "by hand" in good(host, "image", "history", "made:1")


def test_an_import_from_standard_input(host: Pydockd) -> None:
    done = subprocess.run(
        [BIN / "pydock", "-H", f"unix://{host.socket}", "image", "import", "-", "made:2"],
        input=images.busybox_layer(), capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    runs(host, "made", "made:2")


# bad ones


def layout_of(image: Image, name: str = "bad.example/x:1") -> dict[str, bytes]:
    """The files of an OCI layout."""
    entry = {
        "mediaType": image.media_type, "digest": image.digest, "size": len(image.manifest),
        "annotations": {"org.opencontainers.image.ref.name": name},
    }  # fmt: skip
    blobs = {image.digest: image.manifest, **image.blobs}
    return {
        "oci-layout": LAYOUT,
        **{f"blobs/{digest.replace(':', '/')}": data for digest, data in blobs.items()},
        "index.json": json.dumps({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [entry]}).encode(),
    }


def packed(files: dict[str, bytes], *extra: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info in extra:
            archive.addfile(info)
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def link(name: str, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info


BIG = os.urandom(300_000)
IMAGE = images.build([tars.archive([tars.Member(b"f", b"content" * 1000)])], packing="plain")
FILES = layout_of(IMAGE)
LAYER = next(name for name, data in FILES.items() if len(data) > 7000)
DOCKER = {"config.json": b"{}", "manifest.json": b'[{"Config": "config.json", "Layers": ["../../etc/passwd"]}]'}


def without(name: str) -> dict[str, bytes]:
    return {each: data for each, data in FILES.items() if each != name}


def with_layers(layers: list[str]) -> dict[str, bytes]:
    entry = {"Config": "config.json", "Layers": layers, "RepoTags": ["bad.example/x:1"]}
    return {"config.json": b"{}", "manifest.json": json.dumps([entry]).encode()}


BAD: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "neither index.json"),
    "no archive": (os.urandom(4096), "cannot be read"),
    "cut": (packed(FILES)[:9000], "cannot be read"),
    "another digest": (packed(FILES | {LAYER: b"x" * 7168}), "does not match its digest"),
    "a blob that is missing": (packed(without(LAYER)), "lacks sha256:"),
    "no index": (packed(without("index.json")), "neither index.json"),
    "an index of nonsense": (packed(FILES | {"index.json": b"[" * 100_000}), "index.json"),
    "a huge index": (packed(FILES | {"index.json": b" " * (5 << 20)}), "is larger than"),
    "a layer outside": (packed(DOCKER), "lacks '../../etc/passwd'"),
    "a layer that is a link outside": (packed(with_layers(["layer"]), link("layer", "/etc/passwd")), "lacks 'layer'"),
    "links in a circle": (packed(with_layers(["a"]), link("a", "b"), link("b", "a")), "lacks 'a'"),
    "a reference that is none": (packed(layout_of(IMAGE, "not a/name:")), "reference"),
    "an inner digest that leads out": (packed(FILES | {"index.json": FILES["index.json"].replace(
        IMAGE.digest.encode(), b"sha256:../../../../../../etc/passwd")}), "digest"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_archive_is_told_and_leaves_nothing(host: Pydockd, tmp_path: pathlib.Path, name: str) -> None:
    data, words = BAD[name]
    (tmp_path / "bad.tar").write_bytes(data)
    before = disk(host)
    done = host.cli("image", "load", "-i", str(tmp_path / "bad.tar"))
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert disk(host) == before
    assert digests(host) == {}


def test_the_same_archive_unharmed_is_good(host: Pydockd, tmp_path: pathlib.Path) -> None:
    """And names of members that lead elsewhere lead nowhere."""
    (tmp_path / "good.tar").write_bytes(packed(FILES | {"../../../../../tmp/pydock-escaped": b"x", "/etc/x": b"x"}))
    assert good(host, "image", "load", "-i", str(tmp_path / "good.tar")) == "Loaded image: bad.example/x:1\n"
    assert digests(host) == {"bad.example/x:1": IMAGE.digest}
    assert not pathlib.Path("/tmp/pydock-escaped").exists()
    assert not pathlib.Path("/etc/x").exists()


def test_damaged_packing(host: Pydockd, tmp_path: pathlib.Path) -> None:
    (tmp_path / "bad.tar.gz").write_bytes(gzip.compress(packed(FILES))[:-100])
    before = disk(host)
    done = host.cli("image", "load", "-i", str(tmp_path / "bad.tar.gz"))
    assert done.returncode == 1
    assert "its packing (gzip) is damaged" in done.stderr
    wait.until(lambda: disk(host) == before, 10, "what had come to be gone")


def test_files_that_are_not_there(host: Pydockd, tmp_path: pathlib.Path) -> None:
    done = host.cli("image", "load", "-i", str(tmp_path / "absent"))
    assert (done.returncode, done.stderr) == (1, f"pydock: {tmp_path}/absent: no such file or directory\n")
    assert "has no index.json" in host.cli("image", "load", "-i", str(tmp_path)).stderr
    absent = host.cli("image", "save", "-o", str(tmp_path / "saved"), "absent:1")
    assert absent.returncode == 1
    assert "absent:1" in absent.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_client_that_breaks_off_leaves_nothing(host: Pydockd, framing: str) -> None:
    before = disk(host)
    head = {"length": "Content-Length: 100000000", "chunks": "Transfer-Encoding: chunked"}[framing]
    data = packed({"blobs/sha256/" + hashlib.sha256(BIG).hexdigest(): BIG, "more": BIG})[:500_000]
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(host.socket)
        client.sendall(
            b"POST /apis/pydock.dev/v1/graph/images/load HTTP/1.1\r\nHost: localhost\r\n"
            + f"Content-Type: application/x-tar\r\n{head}\r\n\r\n".encode()
            + (data if framing == "length" else b"%x\r\n%b\r\n" % (len(data), data))
        )
        wait.until(lambda: disk(host) != before, 10, "the blob to come")
    wait.until(lambda: disk(host) == before, 10, "what had come to be gone")
    assert digests(host) == {}


def test_a_slow_sender_is_waited_for(host: Pydockd) -> None:
    """It holds a request for longer than an ordinary one may take to arrive."""
    data = packed(FILES)
    began = time.monotonic()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(host.socket)
        client.sendall(
            b"POST /apis/pydock.dev/v1/graph/images/load HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Content-Type: application/x-tar\r\nContent-Length: %d\r\n\r\n" % len(data)
        )
        time.sleep(11)  # over the time that a thread waits for a silent client
        client.sendall(data)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert time.monotonic() - began > 10
    assert b'"reference":"bad.example/x:1"' in answer


def test_a_save_that_is_killed_leaves_no_file_of_its_name(
    host: Pydockd, registry: images.Server, tmp_path: pathlib.Path
) -> None:
    big = images.build([tars.archive([tars.Member(b"f", os.urandom(64 << 20))])], packing="plain")
    reference = images.push(registry.address, "big", "1", big)
    good(host, "pull", reference)
    process = subprocess.Popen(
        [BIN / "pydock", "-H", f"unix://{host.socket}", "image", "save", "-o", tmp_path / "big.tar", reference]
    )
    wait.until(lambda: list(tmp_path.iterdir()) or process.poll() is not None, 10, "it to begin")
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    assert not (tmp_path / "big.tar").exists() or (tmp_path / "big.tar").stat().st_size > 64 << 20


def test_other_bodies_are_refused(host: Pydockd) -> None:
    status, answer = host.request("POST", "/apis/pydock.dev/v1/graph/images/load", {"a": 1})
    assert status == 415
    assert "expected application/x-tar" in answer["message"]
    target = "/apis/pydock.dev/v1/graph/images/import?reference=a&config=[1]"
    status, answer = host.request("POST", target, None, "application/x-tar")
    assert (status, "'config'" in answer["message"]) == (400, True)
