"""Images as some tools write them run as they do elsewhere: by the right user, with what their configuration says."""

from __future__ import annotations

import json
import pathlib
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.testing import graph_tars as tars
from reconciler.testing import images, registry_hostile, wait
from reconciler.testing.daemon import Pydockd
from reconciler.testing.images import Image

SAYS = """\
exec 2> /dev/null
echo $(id -u) $(id -g) ${Q-none} ${FOO-none} $(pwd) $(stat -c '%u:%g:%a' /data /var/lib/x /link/deep | tr '\\n' ' ')
echo done; trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done"""
LINES = "4242 77 1 none /tmp 0:0:755 0:0:755 0:0:755\ndone\n"
LAYERS = [
    images.busybox_layer(),
    tars.archive(
        [
            # four fields are enough for a user
            tars.Member(b"etc/passwd", b"root:x:0:0\nodd:x:4242:77\n"),
            tars.directory(b"srv"),
            tars.symlink(b"link", b"/srv"),
        ]
    ),
]


@pytest.fixture(scope="module")
def server() -> Iterator[registry_hostile.HostileServer]:
    with registry_hostile.hostile() as found:
        yield found


@pytest.fixture(autouse=True)
def nothing_before(host: Pydockd) -> Iterator[None]:
    yield
    host.remove_all()
    host.cli("image", "prune", "--all", "--yes")


def odd(user: str = "odd") -> Image:
    """An image with every key in another case, types that say nothing, and a wrong architecture."""
    diff_ids = [images.digest(layer) for layer in LAYERS]
    document = {
        "OS": "Linux", "Architecture": "s390x", "variant": None, "history": None,
        "config": {
            "user": user, "env": ["FOO", "Q=1", None], "WORKINGDIR": "/tmp", "entrypoint": [""],
            "cmd": ["/bin/sh", "-c", SAYS], "labels": {"a": None}, "stopsignal": None,
            "volumes": {"/data": {}, "/var/lib/x": None, "/link/deep": {}, "/bin/sh": {}},
        },
        "RootFS": {"Type": None, "Diff_IDs": diff_ids},
    }  # fmt: skip
    raw = json.dumps(document).encode()
    blobs = {images.digest(data): data for data in (raw, *LAYERS)}
    layers = [{"mediatype": None, "Digest": images.digest(data), "Size": len(data)} for data in LAYERS]
    config = {"MediaType": "text/html", "digest": images.digest(raw), "size": len(raw)}
    manifest = {"schemaVersion": None, "annotations": None, "Config": config, "LAYERS": layers}
    return Image(json.dumps(manifest).encode(), "application/octet-stream", blobs, tuple(diff_ids))


def says(host: Pydockd, name: str, image: str) -> str:
    document = {"apiVersion": "pydock.dev/v1", "kind": "Container", "metadata": {"name": name},
                "spec": {"image": image, "terminationGracePeriodSeconds": 1}}  # fmt: skip
    host.apply(document)
    wait.until(lambda: host.cli("logs", name).stdout.endswith("done\n"), 20, "it to say who it is")
    return host.cli("logs", name).stdout


def good(host: Pydockd, *words: str) -> str:
    done = host.cli(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_odd_image_runs_as_it_says_and_so_does_what_is_committed_on_it(
    host: Pydockd, server: registry_hostile.HostileServer
) -> None:
    reference = server.serve_image(odd(), "odd")
    assert "Warning: it says that it is made for linux/s390x" in good(host, "pull", reference)
    assert says(host, "odd", reference) == LINES
    good(host, "commit", "odd", "of/odd:1")
    assert says(host, "again", "of/odd:1") == LINES


def test_a_user_that_is_a_group_alone(host: Pydockd, server: registry_hostile.HostileServer) -> None:
    assert says(host, "group", server.serve_image(odd(":77"), "group")).startswith("0 77 1 none")


def test_an_index_of_two_without_platforms_means_the_first(
    host: Pydockd, server: registry_hostile.HostileServer
) -> None:
    found = [odd(), images.build([LAYERS[0]])]
    for image in found:
        server.serve_image(image, "index")
    entries: list[dict[str, Any]] = [
        {"digest": image.digest, "size": len(image.manifest), "platform": None} for image in found
    ]
    server.answer("/v2/index/manifests/latest", json.dumps({"manifests": entries}).encode())
    assert found[0].digest in good(host, "pull", f"{server.address}/index:latest")


def test_an_image_of_nothing(host: Pydockd, server: registry_hostile.HostileServer, tmp_path: pathlib.Path) -> None:
    """`FROM scratch`, with null where a list would be."""
    raw = json.dumps({"os": "linux", "architecture": "x86_64", "rootfs": {"type": "layers", "diff_ids": None}}).encode()
    config = {"mediaType": "", "digest": images.digest(raw), "size": len(raw)}
    manifest = json.dumps({"schemaVersion": 2, "config": config, "layers": None}).encode()
    reference = server.serve_image(Image(manifest, "", {images.digest(raw): raw}), "scratch")
    good(host, "pull", reference)
    assert json.loads(good(host, "image", "inspect", reference, "-o", "json"))["layers"] == []
    (tmp_path / "config.json").write_bytes(raw)
    (tmp_path / "manifest.json").write_text('[{"Config":"config.json","RepoTags":["of/scratch:1"],"Layers":null}]')
    packed = subprocess.run(
        ["tar", "-C", tmp_path, "-c", "config.json", "manifest.json"], capture_output=True, check=True
    )
    (tmp_path / "scratch.tar").write_bytes(packed.stdout)
    loaded = good(host, "image", "load", "-i", str(tmp_path / "scratch.tar"))
    assert loaded == "Loaded image: docker.io/of/scratch:1\n"
