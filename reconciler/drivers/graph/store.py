"""The content store: blobs and layers below one directory.

::

    format             which driver's store this is, and its version
    blobs/sha256/HEX   compressed layers, manifests, configurations
    layers/NAME/       unpacked layers            chains/ALGORITHM-HEX   their records
    snapshots/ID/      the drivers' own
    tmp/               whatever is being made: emptied when the store is opened

What is synced when, against a power cut: a blob's data before its name; a layer's whole file system, its name too,
before its record; every directory after a name in it changed. A crash of the process alone needs none of
this: names appear by rename only. Containers' writable layers are as durable as any directory of the file system.
"""

from __future__ import annotations

import functools
import os
from typing import BinaryIO

from reconciler import failpoints
from reconciler.drivers.graph import base, blobs, extraction, layers, measure, mountinfo, syscalls, volumes
from reconciler.drivers.graph import prepared as prepared_layers


class GraphStore:
    """``base.Graph`` on a directory. ``form`` and ``volumes`` are the driver's: see ``layers.Layers``."""

    def __init__(self, root: str, form: layers.Form, limits: extraction.Limits, volumes: volumes.Volumes) -> None:
        self.root = root
        self.temporaries = os.path.join(root, "tmp")
        os.makedirs(self.temporaries, mode=0o700, exist_ok=True)
        self.volumes = volumes
        self._empty()
        self._blobs = blobs.Blobs(os.path.join(root, "blobs"), self.temporaries)
        self._limits = limits
        self.trees = layers.Layers(root, self.temporaries, form, limits, volumes)
        self.trees.clean()

    def has_blob(self, digest: str) -> bool:
        return self._blobs.has(digest)

    def read_blob(self, digest: str, limit: int) -> bytes:
        return self._blobs.read(digest, limit)

    def open_blob(self, digest: str) -> BinaryIO:
        return self._blobs.open(digest)

    def write_blob(self, digest: str, size: int) -> base.BlobWriter:
        return self._blobs.write(digest, size)

    def new_blob(self, size: int) -> base.BlobWriter:
        return self._blobs.write_new(size)

    def diff_id(self, blob: str) -> str:
        return extraction.diff_id(self._opener(blob), self.temporaries, self._limits)

    def remove_blob(self, digest: str) -> None:
        self._blobs.remove(digest)
        failpoints.hit("graph.blob.remove.after")

    def blobs(self) -> tuple[str, ...]:
        return self._blobs.all()

    def has_layer(self, chain_id: str) -> bool:
        return self.trees.has(chain_id)

    def prepare_layer(self, chain_id: str, parent: str, diff_id: str, blob: str) -> prepared_layers.Prepared | None:
        return self.trees.prepare(chain_id, parent, diff_id, self._opener(blob))

    def unpack_layer(
        self, chain_id: str, parent: str, diff_id: str, blob: str, prepared: base.Prepared | None = None
    ) -> int:
        assert prepared is None or isinstance(prepared, prepared_layers.Prepared)
        return self.trees.fill(chain_id, parent, diff_id, self._opener(blob), prepared)

    def settle_layer(self, chain_id: str) -> None:
        self.trees.settle(chain_id)

    def remove_layer(self, chain_id: str) -> None:
        self.trees.remove(chain_id)

    def check_blob(self, digest: str) -> str:
        return self._blobs.check(digest)

    def check_layer(self, chain_id: str, blob: str) -> list[str]:
        return self.trees.check(chain_id, self._opener(blob))

    def renew_layer(self, chain_id: str, blob: str) -> None:
        """See ``base.GraphDriver``."""
        self.trees.renew(chain_id, self._opener(blob))

    def unfinished(self) -> tuple[str, ...]:
        return tuple(sorted(os.listdir(self.temporaries)))

    def layers(self) -> tuple[str, ...]:
        return self.trees.all()

    def blob_size(self, digest: str) -> int:
        return self._blobs.size(digest)

    def layer_size(self, chain_id: str) -> int:
        return self.trees.record(chain_id).size

    def space(self) -> measure.Space:
        return measure.space(self.root)

    def _opener(self, blob: str) -> extraction.Opener:
        return functools.partial(self._blobs.open_verified, blob)

    def _empty(self) -> None:
        """Removes what a crash left half-made, a probe's mount too."""
        for point in mountinfo.read().under(self.temporaries):
            syscalls.umount(point, syscalls.MNT_DETACH | syscalls.UMOUNT_NOFOLLOW)
        for name in os.listdir(self.temporaries):
            self.volumes.remove(os.path.join(self.temporaries, name))
