"""The vfs graph driver: every layer and every snapshot is a whole copy. For hosts where overlay does not work.

Slow and large, but it needs nothing of the kernel: nothing is mounted, so nothing can be unmounted.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator

from reconciler import errors
from reconciler.drivers.graph import diff, measure, options, overlay, snapshots, store, volumes


class VfsDriver:
    """``base.GraphDriver``. ``graph`` holds layers in the *applied* form."""

    name = "vfs"

    def __init__(self, graph: store.GraphStore) -> None:
        self.graph = graph
        self._snapshots = snapshots.Snapshots(graph.root, graph.temporaries, graph.volumes)

    def probe(self) -> str:
        return f"vfs on {overlay.file_system(self.graph.root)}"

    def prepare(self, id: str, chain: tuple[str, ...]) -> str:
        top = chain[-1] if chain else ""
        if not self._snapshots.check(id, top):
            try:
                self._make(id, top)
            except OSError as error:
                raise errors.Temporary(f"making the file system of {id}: {error.strerror}", delay=30) from error
        return self.rootfs(id)

    def _make(self, id: str, top: str) -> None:
        aside = self._snapshots.begin(top)
        try:
            rootfs = os.path.join(aside, "rootfs")
            if top:
                self.graph.volumes.copy(self.graph.trees.path(top), rootfs)
            else:
                self.graph.volumes.make(rootfs, 0o755)
            self._snapshots.finish(aside, id)
        except BaseException:
            self.graph.volumes.remove(aside)
            raise

    def rootfs(self, id: str) -> str:
        return os.path.join(self._snapshots.path(id), "rootfs")

    def mounted(self, id: str) -> bool:
        return os.path.isdir(self.rootfs(id))

    def mounts(self) -> frozenset[str]:
        return frozenset(self._snapshots.all())

    def restore_mount(self, id: str, pid: int) -> None:
        """Nothing is mounted, so there is nothing to bring back."""
        if not self.mounted(id):
            raise errors.NotFound(f"there is no snapshot {id}")

    def unmount(self, id: str) -> None:
        self._snapshots.path(id)

    def remove(self, id: str) -> None:
        self._snapshots.remove(id)

    def snapshots(self) -> tuple[str, ...]:
        return self._snapshots.all()

    def renew_layer(self, chain_id: str, blob: str) -> None:
        """Snapshots are copies: none stands on it."""
        self.graph.renew_layer(chain_id, blob)

    def diff(self, id: str, without: Collection[bytes] = ()) -> Iterator[bytes]:
        top = self._snapshots.base(id)
        if top is None:
            raise errors.NotFound(f"there is no snapshot {id}")
        below = self.graph.trees.path(top) if top else ""
        return diff.pieces(self.rootfs(id), below, overlay=False, without=without)

    def usage(self, id: str) -> int:
        return measure.tree(self._snapshots.path(id))

    def mount_event_fd(self) -> int | None:
        return None


def make(place: str, given: options.Options) -> VfsDriver:
    return VfsDriver(store.GraphStore(place, "applied", given.limits, volumes.Directories()))
