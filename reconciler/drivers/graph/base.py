"""The graph: content-addressed blobs, layers by chain id, and writable snapshots on top of them.

Words: a *blob* is a file named by the digest of its bytes. A *layer* is an unpacked diff named by its chain id (OCI
image spec, "Layer ChainID"): the digest of the diff ids from the bottom up to it. A *snapshot* is a container's
writable layer over a chain, named by the incarnation's id; mounted, it is a rootfs.

Nothing partial is ever visible: blobs and layers are made under temporary names in the same file system, verified,
synced and renamed. Relations (which tag means which manifest, who uses what) are the store's, not the graph's. The
directory is 0700: images hold setuid files and devices.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import BinaryIO, Protocol

from reconciler.drivers.graph import measure


class BlobWriter(Protocol):
    """Takes a blob's bytes as they come; the digest is computed on the way."""

    @property
    def offset(self) -> int:
        """Bytes held already (a broken download is resumed from here)."""

    def write(self, data: bytes | memoryview) -> None: ...

    def verify(self) -> str:
        """Compares size and digest; returns the digest. From now on ``Graph.unpack_layer`` finds the blob, and nobody
        else does. Raises ``Permanent`` and drops it if they differ."""

    def commit(self) -> str:
        """Verifies size and digest, syncs, makes the blob visible; returns its digest. Raises ``Permanent`` and drops
        it if they differ."""

    def abort(self) -> None:
        """Drops it."""


class Prepared(Protocol):
    """A layer that was unpacked before its turn; ``Graph.unpack_layer`` takes it."""

    def discard(self) -> None:
        """Removes it. No effect once it was taken."""


class Graph(Protocol):
    """Blobs and the layers made of them."""

    def has_blob(self, digest: str) -> bool: ...

    def read_blob(self, digest: str, limit: int) -> bytes:
        """A small blob (manifest, configuration). Raises ``NotFound``, or ``Permanent`` over ``limit`` bytes."""

    def open_blob(self, digest: str) -> BinaryIO:
        """A blob's bytes, to be read and closed. Raises ``NotFound``."""

    def write_blob(self, digest: str, size: int) -> BlobWriter:
        """Raises ``errors.Invalid`` for a malformed digest, before any path is made. ``size`` -1 is unknown."""

    def new_blob(self, size: int) -> BlobWriter:
        """As ``write_blob``, of content whose digest is not known yet: sha256 names it."""

    def diff_id(self, blob: str) -> str:
        """The digest of a layer's archive, unpacked in a confined helper from ``blob`` (gzip, zstd or plain). Raises
        ``NotFound``, or ``Permanent`` for what is damaged or too large."""

    def remove_blob(self, digest: str) -> None: ...

    def blobs(self) -> tuple[str, ...]: ...

    def has_layer(self, chain_id: str) -> bool: ...

    def prepare_layer(self, chain_id: str, parent: str, diff_id: str, blob: str) -> Prepared | None:
        """Unpacks ``blob`` as ``unpack_layer`` would, before the layers below it are there: None where that cannot be,
        because of the driver or because the layer needs what is below, or where it failed: ``unpack_layer`` tells
        why. May raise as that does."""

    def unpack_layer(
        self, chain_id: str, parent: str, diff_id: str, blob: str, prepared: Prepared | None = None
    ) -> int:
        """Unpacks ``blob`` (gzip, zstd or plain tar) in a confined helper, verifying the diff id, or takes what was
        ``prepared``; whiteouts become the driver's own. Returns the bytes used. Already there: no effect.

        The layer is not there yet: ``settle_layer`` makes it so. Others may be unpacked on top of it meanwhile."""

    def settle_layer(self, chain_id: str) -> None:
        """Makes an unpacked layer durable, and then seen; those below it come first. Already there: no effect. Raises
        ``NotFound`` for one that was not unpacked, ``Temporary`` where the disk fails: then it has to be unpacked
        again."""

    def remove_layer(self, chain_id: str) -> None: ...

    def layers(self) -> tuple[str, ...]: ...

    def check_blob(self, digest: str) -> str:
        """What is wrong with a blob, in words: it is missing, cannot be read, or has other bytes. Empty if nothing."""

    def check_layer(self, chain_id: str, blob: str) -> list[str]:
        """What of an unpacked layer is not as its ``blob``, which must be whole, unpacks now: the first few differences
        in words. The layers below must be whole. Raises ``NotFound`` for one that is not here, and as
        ``unpack_layer`` does."""

    def unfinished(self) -> tuple[str, ...]:
        """What is being made now, or was left half-made: names in the temporary directory."""

    def blob_size(self, digest: str) -> int:
        """Bytes of a blob. Raises ``NotFound``."""

    def layer_size(self, chain_id: str) -> int:
        """Bytes of a layer's own files, as they were unpacked. Raises ``NotFound``, or ``Permanent`` for a damaged
        record."""

    def space(self) -> measure.Space:
        """Of the file system that the graph is on."""


class GraphDriver(Protocol):
    """Snapshots over chains: overlay, btrfs, vfs."""

    name: str

    def probe(self) -> str:
        """A line that names driver and backing file system. Raises ``Permanent`` if it cannot work here."""

    def prepare(self, id: str, chain: tuple[str, ...]) -> str:
        """Makes the snapshot over the layers of ``chain`` (chain ids, bottom first) unless it exists, mounts it unless
        it is, and returns the rootfs's path."""

    def rootfs(self, id: str) -> str:
        """The path where the snapshot is or would be mounted."""

    def mounted(self, id: str) -> bool:
        """Whether the rootfs is mounted, by this driver, at its path."""

    def mounts(self) -> frozenset[str]:
        """The ids whose rootfs is mounted: one read of /proc/self/mountinfo."""

    def restore_mount(self, id: str, pid: int) -> None:
        """Brings a rootfs that somebody unmounted on the host back from the mount namespace of the running process
        ``pid``, without touching the container (mounting the same upper directory twice is undefined)."""

    def unmount(self, id: str) -> None: ...

    def remove(self, id: str) -> None:
        """Unmounts and removes the snapshot with its data."""

    def snapshots(self) -> tuple[str, ...]: ...

    def renew_layer(self, chain_id: str, blob: str) -> None:
        """Puts what ``blob`` unpacks to in the place of a damaged layer, at once and durably. Raises ``Conflict``
        naming the snapshots if some stand on it that are mounted, otherwise as ``Graph.unpack_layer``."""

    def diff(self, id: str, without: Collection[bytes] = ()) -> Iterator[bytes]:
        """The archive (tar) of a layer that makes of the snapshot's chain what the snapshot shows, but for empty files
        at the paths ``without``. Files that change meanwhile are in it in some state, or it ends in ``Temporary``.
        Raises ``NotFound``, and ``Permanent`` for what no layer can hold."""

    def usage(self, id: str) -> int:
        """Bytes on disk of a snapshot's own data (with vfs that is all of it); 0 if there is none."""

    def mount_event_fd(self) -> int | None:
        """A descriptor whose POLLPRI tells that mounts changed; None if the driver mounts nothing."""
