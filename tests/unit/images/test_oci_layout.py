"""What archives name: images are told from what lies beside them, and oddly written ones are read."""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
import threading
from typing import Any

import pytest

from reconciler import errors
from reconciler.drivers.registry import manifests
from reconciler.images import archive, archive_input, oci_layout
from reconciler.testing import graph_fake, images
from reconciler.testing import graph_tars as tars

LAYER = tars.archive([tars.Member(b"f", b"x")])
IMAGE = images.build([LAYER])
HOST = manifests.Platform("linux", "amd64")
COSIGN = {"config": {}, "architecture": "", "os": "", "rootfs": {"type": "layers", "diff_ids": [images.digest(b"s")]}}


class Files:
    """What a layout holds: ``entries`` of its index, and blobs by digest."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.blobs: dict[str, bytes] = {}

    def blob(self, data: bytes, media_type: str) -> dict[str, Any]:
        self.blobs[images.digest(data)] = data
        return {"mediaType": media_type, "digest": images.digest(data), "size": len(data)}

    def image(self, image: images.Image = IMAGE, **more: Any) -> Files:
        self.blobs |= image.blobs
        self.entries.append(self.blob(image.manifest, image.media_type) | more)
        return self

    def other(self, config: str, layers: list[tuple[str, bytes]], document: Any = COSIGN, **more: Any) -> Files:
        """A manifest of something else, or of something that hides what it is."""
        entry = {key: more.pop(key) for key in ("annotations", "entry_type") if key in more}
        manifest = {
            "schemaVersion": 2, "mediaType": manifests.OCI_MANIFEST,
            "config": self.blob(json.dumps(document).encode(), config),
            "layers": [self.blob(data, media_type) for media_type, data in layers], **more,
        }  # fmt: skip
        described = self.blob(json.dumps(manifest).encode(), manifests.OCI_MANIFEST)
        if "entry_type" in entry:
            described["artifactType"] = entry.pop("entry_type")
        self.entries.append(described | entry)
        return self

    def found(self, one: bool = False) -> list[str]:
        """Digests of the images."""
        graph = graph_fake.FakeGraph()
        graph.contents |= self.blobs
        index = json.dumps({"schemaVersion": 2, "manifests": self.entries}).encode()
        return [each.manifest.digest for each in oci_layout.Layout(graph, index, HOST).images(one)]


def signature() -> tuple[str, list[tuple[str, bytes]]]:
    return manifests.OCI_CONFIG, [("application/vnd.dev.cosign.simplesigning.v1+json", b"s")]


ARTIFACTS: dict[str, dict[str, Any]] = {
    "a signature": {"config": signature()[0], "layers": signature()[1]},
    "an SBOM in words": {"config": manifests.OCI_CONFIG, "layers": [("text/spdx", b"s")]},
    "an SBOM as json": {"config": manifests.OCI_CONFIG, "layers": [("application/vnd.cyclonedx+json", b"s")]},
    "an SBOM by no type": {"config": manifests.OCI_CONFIG, "layers": [("application/octet-stream", b"SPDX: 2.3\n")]},
    "by its type": {"config": "application/vnd.oci.empty.v1+json", "layers": [("", b"s")], "document": {},
                    "artifactType": "application/spdx+json"},
    "by the index": {"config": manifests.OCI_CONFIG, "layers": [(manifests.OCI_LAYER, b"s")], "entry_type": "a/b"},
    "by its configuration": {"config": "application/json", "layers": [("", LAYER)], "document": {"name": "chart"}},
    "a chart": {"config": "application/vnd.cncf.helm.config.v1+json", "layers": [("application/gzip", LAYER)]},
    "a statement": {"config": manifests.OCI_CONFIG, "layers": [(manifests.OCI_LAYER, b"s")],
                    "annotations": {"vnd.docker.reference.type": "attestation-manifest"}},
}  # fmt: skip


@pytest.mark.parametrize("name", ARTIFACTS)
@pytest.mark.parametrize("one", [False, True])
def test_an_image_is_told_from_what_lies_beside_it(name: str, one: bool) -> None:
    assert Files().other(**ARTIFACTS[name]).image().found(one) == [IMAGE.digest]
    assert Files().image().other(**ARTIFACTS[name]).found(one) == [IMAGE.digest]


@pytest.mark.parametrize("name", ARTIFACTS)
def test_artifacts_alone_are_refused(name: str) -> None:
    with pytest.raises(manifests.NoImage, match="no container image"):
        Files().other(**ARTIFACTS[name]).found()


def test_images_by_odd_types_are_images() -> None:
    document = {"os": "linux", "rootfs": {"type": "layers", "diff_ids": [images.digest(LAYER)]}}
    for config in ("application/octet-stream", "text/html", ""):
        for layer in ("application/octet-stream", "", "application/x-gzip"):
            assert len(Files().other(config, [(layer, LAYER)], document).found()) == 1
    scratch = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": None}}
    assert len(Files().other("application/json", [], scratch).found()) == 1


def test_an_image_whose_blobs_are_missing_is_not_passed_over() -> None:
    files = Files().other(*signature()).image()
    del files.blobs[IMAGE.digest]
    with pytest.raises(errors.Permanent, match="is it whole"):
        files.found()


def test_platforms_that_are_not_in_the_archive_do_not_matter() -> None:
    files = Files().image(platform={"os": "linux", "architecture": "amd64"})
    absent = {"mediaType": manifests.OCI_MANIFEST, "digest": images.digest(b"absent"), "size": 6}
    files.entries.append(absent | {"platform": {"os": "linux", "architecture": "arm64"}})
    assert files.found(one=True) == [IMAGE.digest]


def read(documents: dict[str, bytes]) -> list[oci_layout.Found]:
    """The images of an archive of these files."""
    made = archive.Archive(graph_fake.FakeGraph())
    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w") as packed:
            for name, data in documents.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                packed.addfile(info, io.BytesIO(data))
        file.seek(0)
        made.read(archive_input.Input(file.fileno(), threading.Event()))
    return made.images(HOST, False)


@pytest.mark.parametrize(
    ("entry", "layers", "names"),
    [
        ({"Config": "c", "Layers": None, "RepoTags": ["a/b:1"]}, 0, ("a/b:1",)),
        ({"Config": "c", "RepoTags": None}, 0, ()),
        ({"config": "c", "layers": ["l"], "repotags": ["a/b:1", None, ""]}, 1, ("a/b:1",)),
        ({"CONFIG": "c", "Layers": ["l", "l"], "RepoTags": [], "LayerSources": None, "Parent": 7}, 2, ()),
    ],
)
def test_what_docker_save_names(entry: dict[str, Any], layers: int, names: tuple[str, ...]) -> None:
    (found,) = read({"c": b"{}", "l": LAYER, "manifest.json": json.dumps([entry]).encode()})
    assert (len(found.manifest.layers), found.names) == (layers, names)


@pytest.mark.parametrize("raw", [b"null", b"[]", b"{}", b"[7]", b'[{"Config": 7}]', b'[{"Layers": "l"}]', b"[null]"])
def test_a_list_that_names_nothing(raw: bytes) -> None:
    with pytest.raises(errors.Permanent, match=r"0 images|manifest.json is malformed|archive lacks ''"):
        read({"c": b"{}", "l": LAYER, "manifest.json": raw})
