"""Unpacking and removing layers."""

from __future__ import annotations

import os

import pytest

from reconciler import errors
from reconciler.drivers.graph import chains
from reconciler.testing import graph_tars as tars
from reconciler.testing import images
from reconciler.testing.graph_suite.place import Place


class Layers:
    @pytest.mark.parametrize("packing", ["gzip", "zstd", "plain"])
    def test_packings(self, place: Place, packing: images.Packing) -> None:
        chain = place.layer(tars.archive([tars.Member(b"a", b"x" * 300_000)]), packing=packing)
        rootfs = place.driver.prepare("packed", (chain,))
        assert os.stat(os.path.join(rootfs, "a")).st_size == 300_000

    def test_unpacking_again_has_no_effect_and_needs_no_blob(self, place: Place) -> None:
        archive = tars.archive([tars.Member(b"a", b"12345")])
        chain = place.layer(archive)
        for digest in place.graph.blobs():
            place.graph.remove_blob(digest)
        blob = images.digest(b"gone")
        assert place.graph.unpack_layer(chain, "", images.digest(archive), blob) == 5
        assert place.graph.layers() == (chain,)

    def test_a_layer_is_there_once_it_is_settled_and_not_before(self, place: Place) -> None:
        lower, upper = tars.archive([tars.Member(b"a", b"1")]), tars.archive([tars.Member(b"b", b"22")])
        chain = chains.chain((images.digest(lower), images.digest(upper)))
        for index, archive in enumerate((lower, upper)):
            blob = place.put(images.packed(archive, "gzip"))
            parent = chain[0] if index else ""
            place.graph.unpack_layer(chain[index], parent, images.digest(archive), blob)
        assert place.graph.layers() == ()
        with pytest.raises(errors.NotFound):
            place.driver.prepare("early", chain)
        for chain_id in chain:
            place.graph.settle_layer(chain_id)
            place.graph.settle_layer(chain_id)
        assert set(place.graph.layers()) == set(chain)
        rootfs = place.driver.prepare("late", chain)
        assert sorted(os.listdir(rootfs)) == ["a", "b"]

    def test_a_layer_that_was_not_unpacked_cannot_be_settled(self, place: Place) -> None:
        with pytest.raises(errors.NotFound):
            place.graph.settle_layer(images.digest(b"absent"))

    def test_content_with_another_diff_id_is_not_kept(self, place: Place) -> None:
        blob = place.put(images.packed(tars.archive([tars.Member(b"a")]), "gzip"))
        wrong = images.digest(b"something else")
        with pytest.raises(errors.Permanent, match="does not match its diff id"):
            place.graph.unpack_layer(wrong, "", wrong, blob)
        assert place.graph.layers() == ()
        assert place.leftovers() == []

    def test_bytes_behind_the_end_of_the_archive_count_for_the_diff_id(self, place: Place) -> None:
        archive = tars.archive([tars.Member(b"a")]) + bytes(10240)
        assert place.graph.has_layer(place.layer(archive))

    def test_a_chain_id_that_is_made_of_something_else_is_refused(self, place: Place) -> None:
        archive = tars.archive([tars.Member(b"a")])
        blob = place.put(archive)
        with pytest.raises(errors.Invalid):
            place.graph.unpack_layer(images.digest(b"x"), "", images.digest(archive), blob)

    def test_a_layer_without_its_parent_or_blob_is_refused(self, place: Place) -> None:
        archive = tars.archive([tars.Member(b"a")])
        diff_id, absent = images.digest(archive), images.digest(b"absent")
        with pytest.raises(errors.NotFound):
            place.graph.unpack_layer(diff_id, "", diff_id, absent)
        blob = place.put(archive)
        with pytest.raises(errors.NotFound):
            place.graph.unpack_layer(chains.chain_id(absent, diff_id), absent, diff_id, blob)
        assert place.leftovers() == []

    def test_layers_are_removed(self, place: Place) -> None:
        lower, upper = place.stack([tars.Member(b"a")], [tars.Member(b"b")])
        place.graph.remove_layer(upper)
        place.graph.remove_layer(upper)
        assert place.graph.layers() == (lower,)
        assert place.leftovers() == []
        with pytest.raises(errors.NotFound):
            place.driver.prepare("x", (lower, upper))
