"""What every graph does with blobs."""

from __future__ import annotations

import pytest

from reconciler import errors
from reconciler.testing import graph_tars as tars
from reconciler.testing import images
from reconciler.testing.graph_suite.place import Place


class Blobs:
    def test_a_blob_is_there_when_it_is_committed_and_not_before(self, place: Place) -> None:
        digest = images.digest(b"content")
        writer = place.graph.write_blob(digest, 7)
        writer.write(b"cont")
        assert writer.offset == 4
        assert not place.graph.has_blob(digest)
        writer.write(memoryview(b"ent"))
        writer.commit()
        assert place.graph.has_blob(digest)
        assert place.graph.read_blob(digest, 7) == b"content"
        assert place.graph.blobs() == (digest,)
        place.graph.remove_blob(digest)
        place.graph.remove_blob(digest)
        assert place.graph.blobs() == ()

    @pytest.mark.parametrize("data", [b"contenu", b"conten"])
    def test_a_blob_that_is_not_what_it_should_be_leaves_nothing(self, place: Place, data: bytes) -> None:
        digest = images.digest(b"content")
        writer = place.graph.write_blob(digest, 7)
        writer.write(data)
        with pytest.raises(errors.Permanent):
            writer.commit()
        assert place.graph.blobs() == ()
        assert place.leftovers() == []

    def test_a_blob_that_grows_too_long_is_stopped_at_once(self, place: Place) -> None:
        writer = place.graph.write_blob(images.digest(b"content"), 7)
        with pytest.raises(errors.Permanent, match="longer than the 7 bytes"):
            writer.write(b"content and more")
        assert place.leftovers() == []

    def test_an_aborted_blob_leaves_nothing(self, place: Place) -> None:
        writer = place.graph.write_blob(images.digest(b"content"), -1)
        writer.write(b"con")
        writer.abort()
        writer.abort()
        assert place.leftovers() == []

    def test_a_verified_blob_can_be_unpacked_and_is_not_there_yet(self, place: Place) -> None:
        archive = tars.archive([tars.Member(b"f", b"x")])
        blob, diff_id = images.digest(archive), images.digest(archive)
        writer = place.graph.write_blob(blob, len(archive))
        writer.write(archive)
        with pytest.raises(errors.NotFound):
            place.graph.unpack_layer(diff_id, "", diff_id, blob)
        assert writer.verify() == blob
        place.graph.unpack_layer(diff_id, "", diff_id, blob)
        assert (place.graph.has_blob(blob), place.graph.blobs()) == (False, ())
        with pytest.raises(errors.NotFound):
            place.graph.read_blob(blob, len(archive))
        assert writer.commit() == blob
        assert place.graph.read_blob(blob, len(archive)) == archive
        place.graph.settle_layer(diff_id)
        assert place.graph.has_layer(diff_id)

    def test_a_verified_blob_that_is_dropped_is_gone(self, place: Place) -> None:
        archive = tars.archive([tars.Member(b"f", b"x")])
        blob = images.digest(archive)
        writer = place.graph.write_blob(blob, len(archive))
        writer.write(archive)
        writer.verify()
        writer.abort()
        with pytest.raises(errors.NotFound):
            place.graph.unpack_layer(blob, "", blob, blob)
        assert (place.graph.blobs(), place.leftovers()) == ((), [])

    def test_a_new_blob_is_named_by_what_it_has(self, place: Place) -> None:
        writer = place.graph.new_blob(7)
        writer.write(b"con")
        assert place.graph.blobs() == ()
        writer.write(b"tent")
        digest = images.digest(b"content")
        assert writer.commit() == digest
        assert place.graph.read_blob(digest, 7) == b"content"
        short = place.graph.new_blob(8)
        short.write(b"content")
        with pytest.raises(errors.Permanent):
            short.commit()
        with pytest.raises(errors.Permanent):
            place.graph.new_blob(3).write(b"content")
        assert (place.graph.blobs(), place.leftovers()) == ((digest,), [])

    @pytest.mark.parametrize("packing", ["gzip", "zstd", "plain"])
    def test_the_diff_id_of_a_blob(self, place: Place, packing: images.Packing) -> None:
        archive = tars.archive([tars.Member(b"f", b"x" * 100_000)])
        packed = images.packed(archive, packing)
        assert place.graph.diff_id(place.put(packed)) == images.digest(archive)
        assert place.leftovers() == []
        if packing == "gzip":  # the other form does not say where it ends
            with pytest.raises(errors.Permanent, match="cannot be read"):
                place.graph.diff_id(place.put(packed[:-20]))
        with pytest.raises(errors.NotFound):
            place.graph.diff_id(images.digest(b"absent"))

    @pytest.mark.parametrize(
        "digest", ["sha256:../x", "sha256:" + "0" * 63, "sha256:" + "G" * 64, "md5:" + "0" * 32, "../../etc", ""]
    )
    def test_a_malformed_digest_makes_no_path(self, place: Place, digest: str) -> None:
        for action in (
            lambda: place.graph.write_blob(digest, 1),
            lambda: place.graph.has_blob(digest),
            lambda: place.graph.read_blob(digest, 1),
            lambda: place.graph.remove_blob(digest),
            lambda: place.graph.has_layer(digest),
            lambda: place.graph.remove_layer(digest),
            lambda: place.graph.unpack_layer(digest, "", digest, digest),
        ):
            with pytest.raises(errors.Invalid):
                action()

    def test_reading_has_a_limit(self, place: Place) -> None:
        digest = place.put(b"0123456789")
        with pytest.raises(errors.Permanent):
            place.graph.read_blob(digest, 9)
        with pytest.raises(errors.NotFound):
            place.graph.read_blob(images.digest(b"another"), 9)
