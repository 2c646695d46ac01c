"""What every registry driver must do. Its test subclasses ``RegistrySuite`` and gives it the fixture ``served``."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import pytest

from reconciler import errors
from reconciler.drivers.registry import base
from reconciler.model.references import Reference
from reconciler.testing import images


class Served(NamedTuple):
    """A registry that has ``image`` under ``reference``, by tag."""

    registry: base.Registry
    reference: Reference
    image: images.Image


class RegistrySuite:
    """Manifests and blobs."""

    def test_a_manifest(self, served: Served) -> None:
        found = served.registry.resolve(served.reference)
        assert (found.digest, found.index_digest) == (served.image.digest, served.image.digest)
        assert (found.raw, found.media_type) == (served.image.manifest, served.image.media_type)
        assert {found.config.digest, *(layer.digest for layer in found.layers)} == set(served.image.blobs)

    def test_what_a_reference_means_now(self, served: Served) -> None:
        assert served.registry.head(served.reference) == served.image.digest
        with pytest.raises(errors.NotFound):
            served.registry.head(msgspec.structs.replace(served.reference, tag="absent"))

    def test_an_image_that_is_not_there_is_named(self, served: Served) -> None:
        absent = msgspec.structs.replace(served.reference, tag="absent")
        with pytest.raises(errors.NotFound) as caught:
            served.registry.resolve(absent)
        assert str(absent) in caught.value.message
        assert f"registry {absent.registry}" in caught.value.message

    def test_blobs_come_whole_and_in_part(self, served: Served) -> None:
        manifest = served.registry.resolve(served.reference)
        for blob in (manifest.config, *manifest.layers):
            whole = served.image.blobs[blob.digest]
            for offset in (0, 1, blob.size - 1, blob.size):
                found = bytearray()
                served.registry.fetch(served.reference, blob, offset, found.extend)
                assert found == whole[offset:]

    def test_tags(self, served: Served) -> None:
        assert served.registry.tags(served.reference) == [served.reference.tag]
        with pytest.raises(errors.NotFound, match=f"registry {served.reference.registry}"):
            served.registry.tags(msgspec.structs.replace(served.reference, path="some/where/else"))

    def test_repositories_are_found(self, served: Served) -> None:
        at, path = served.reference.registry, served.reference.path
        assert base.Hit(f"{at}/{path}") in served.registry.search(at, path[:-1], 10)
        assert len(served.registry.search(at, "", 1)) == 1
        assert served.registry.search(at, "nothing/has/this", 10) == []

    def test_a_blob_that_is_not_there(self, served: Served) -> None:
        absent = base.Descriptor("application/octet-stream", images.digest(b"absent"), 6)
        with pytest.raises(errors.NotFound):
            served.registry.fetch(served.reference, absent, 0, lambda _: None)

    def test_what_the_sink_raises_ends_the_transfer(self, served: Served) -> None:
        def refuse(_: memoryview) -> None:
            raise ZeroDivisionError

        layer = served.registry.resolve(served.reference).layers[0]
        with pytest.raises(ZeroDivisionError):
            served.registry.fetch(served.reference, layer, 0, refuse)

    def test_what_is_pushed_is_there(self, served: Served) -> None:
        there = msgspec.structs.replace(served.reference, path=f"{served.reference.path}/pushed", tag="new")
        manifest = served.registry.resolve(served.reference)
        for expected in ("uploaded", "exists"):
            for blob in (manifest.config, *manifest.layers):
                data = served.image.blobs[blob.digest]
                pieces = lambda data=data: iter((data[:100], data[100:]))  # noqa: E731
                assert served.registry.push_blob(there, blob, pieces) == expected
            served.registry.push_manifest(there, manifest.raw, manifest.media_type)
        found = served.registry.resolve(there)
        assert (found.digest, found.raw, found.media_type) == (manifest.digest, manifest.raw, manifest.media_type)
        for blob in (manifest.config, *manifest.layers):
            taken = bytearray()
            served.registry.fetch(there, blob, 0, taken.extend)
            assert taken == served.image.blobs[blob.digest]
        third = msgspec.structs.replace(there, path=f"{served.reference.path}/third")
        layer = manifest.layers[0]
        absent = lambda: iter((b"this would not match",))  # noqa: E731
        assert served.registry.push_blob(third, layer, absent, elsewhere=there.path) == "mounted"
