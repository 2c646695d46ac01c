"""The overlay graph driver: a snapshot is an upper directory, mounted over the layers of its chain.

Mount tables show source ``pydock`` and, in the options, the upper directory: by that a mount is known as ours. Mounts
are made where ``snapshots/`` is, with that place's propagation: on a host whose / is shared they are seen in
namespaces that follow it. A runtime makes the container's own namespace private before it pivots, so no container sees
another's. The way down to them is 0700; the runtime, being root, passes.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator, Sequence

from reconciler import errors, failpoints
from reconciler.drivers.graph import (
    chains,
    diff,
    measure,
    mountinfo,
    options,
    overlayfs,
    snapshots,
    store,
    syscalls,
    trees,
    volumes,
)

_SOURCE = "pydock"


class OverlayDriver:
    """``base.GraphDriver``. ``graph`` holds layers in the *overlay* form; ``flags`` are those of ``overlayfs.FLAGS``
    that its mounts have from now on."""

    name = "overlay"

    def __init__(self, graph: store.GraphStore, flags: Sequence[str] = ()) -> None:
        self.graph, self._flags = graph, flags
        self._snapshots = snapshots.Snapshots(graph.root, graph.temporaries, graph.volumes)
        self._events: int | None = None

    def probe(self) -> str:
        """Mounts two small layers with a whiteout and an opaque directory, and looks at what shows."""
        aside = self._snapshots.begin("probe")
        try:
            _try_out(aside)
        except OSError as error:
            raise errors.Permanent(f"overlay does not work in {self.graph.root}: {error.strerror}") from error
        finally:
            trees.remove_path(aside)
        return f"overlay on {file_system(self.graph.root)}"

    def prepare(self, id: str, chain: tuple[str, ...]) -> str:
        top = chain[-1] if chain else ""
        if not self._snapshots.check(id, top):
            self._make(id, top)
        elif self.mounted(id):
            return self.rootfs(id)
        else:
            self.unmount(id)
        try:
            self._mount(id, chain)
        except OSError as error:
            for layer in chain:
                self.graph.trees.path(layer)
            raise errors.Permanent(f"mounting the file system of {id}: {error.strerror}") from error
        failpoints.hit("graph.snapshot.mount.after")
        return self.rootfs(id)

    def _make(self, id: str, top: str) -> None:
        """The upper directory is the root that the container sees, so it looks like the image's."""
        aside = self._snapshots.begin(top)
        try:
            for name in ("upper", "work", "rootfs"):
                os.mkdir(os.path.join(aside, name), 0o755 if name == "upper" else 0o700)
            if top:
                _look_like(self.graph.trees.path(top), os.path.join(aside, "upper"))
            self._snapshots.finish(aside, id)
        except BaseException:
            trees.remove_path(aside)
            raise

    def _mount(self, id: str, chain: tuple[str, ...]) -> None:
        here = self._snapshots.path(id)
        upper, work = os.path.join(here, "upper"), os.path.join(here, "work")
        names = [chains.short_name(layer) for layer in reversed(chain)] or [self.graph.trees.nothing()]
        with self.graph.trees.standing:
            overlayfs.attach(_SOURCE, self.rootfs(id), self.graph.trees.directory, names, upper, work, self._flags)

    def rootfs(self, id: str) -> str:
        return os.path.join(self._snapshots.path(id), "rootfs")

    def mounted(self, id: str) -> bool:
        self._snapshots.path(id)
        return id in self._mounted([id])

    def mounts(self) -> frozenset[str]:
        return self._mounted(self._snapshots.all())

    def _mounted(self, ids: list[str] | tuple[str, ...]) -> frozenset[str]:
        table = mountinfo.read()
        over = table.over(self._snapshots.directory)
        return frozenset(id for id in ids if self._ours(table.child(over, self.rootfs(id)), id))

    def _ours(self, mount: mountinfo.Mount | None, id: str) -> bool:
        if mount is None or mount.kind != "overlay":
            return False
        return f"upperdir={os.path.join(self._snapshots.path(id), 'upper')}" in mount.options.split(",")

    def restore_mount(self, id: str, pid: int) -> None:
        """The container's root mount is copied in its own mount namespace and attached here: the same overlay, so both
        sides see one another's changes. If the container has it read-only, the copy is not."""
        if self._snapshots.base(id) is None:
            raise errors.NotFound(f"there is no snapshot {id}")
        if self.mounted(id):
            return
        try:
            copy = self._root_of(id, pid)
        except (FileNotFoundError, ProcessLookupError):
            raise errors.NotFound(
                f"process {pid} is gone: the file system of {id} cannot be brought back from it"
            ) from None
        try:
            self._clear(id)
            failpoints.hit("graph.snapshot.restore.before")
            syscalls.mount_setattr(copy, clear=syscalls.MOUNT_ATTR_RDONLY)
            syscalls.move_mount(copy, self.rootfs(id))
            failpoints.hit("graph.snapshot.restore.after")
        except OSError as error:
            raise errors.Permanent(f"bringing the file system of {id} back: {error.strerror}") from error
        finally:
            os.close(copy)

    def _root_of(self, id: str, pid: int) -> int:
        """A detached copy of the root mount of a process, which must be the mount of snapshot ``id``."""
        if not self._ours(mountinfo.read(pid).root(), id):
            raise errors.Permanent(f"the root of process {pid} is not the file system of {id}")
        namespace = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)

        def there() -> int:
            syscalls.unshare(syscalls.CLONE_FS)
            syscalls.setns(namespace, syscalls.CLONE_NEWNS)
            return syscalls.open_tree("/")

        try:
            return syscalls.apart(there)
        finally:
            os.close(namespace)

    def _clear(self, id: str) -> None:
        """Takes away what stands at the mount point and is not ours."""
        for _ in range(64):
            table = mountinfo.read()
            if table.child(table.over(self._snapshots.directory), self.rootfs(id)) is None:
                return
            syscalls.umount(self.rootfs(id), syscalls.UMOUNT_NOFOLLOW | syscalls.MNT_DETACH)

    def unmount(self, id: str) -> None:
        try:
            self._clear(id)
        except OSError as error:
            raise errors.Temporary(f"unmounting the file system of {id}: {error.strerror}") from error

    def remove(self, id: str) -> None:
        self.unmount(id)
        failpoints.hit("graph.snapshot.unmount.after")
        self._snapshots.remove(id)

    def renew_layer(self, chain_id: str, blob: str) -> None:
        with self.graph.trees.standing:
            standing = [id for id in sorted(self._mounted_anywhere()) if chain_id in self._below(id)]
            if standing:
                raise errors.Conflict(f"layer {chain_id} is mounted: {', '.join(standing)}")
            self.graph.renew_layer(chain_id, blob)

    def _mounted_anywhere(self) -> set[str]:
        """Ids that some namespace has mounted: one that was unmounted here may still be a container's root."""
        uppers = {os.path.join(self._snapshots.path(id), "upper"): id for id in self._snapshots.all()}
        found = set()
        for mount in mountinfo.everywhere():
            if mount.kind == "overlay":
                words = (word.partition("=") for word in mount.options.split(","))
                found |= {uppers[value] for key, _, value in words if key == "upperdir" and value in uppers}
        return found

    def _below(self, id: str) -> list[str]:
        top = self._snapshots.base(id)
        return [top, *self.graph.trees.parents(top)] if top else []

    def snapshots(self) -> tuple[str, ...]:
        return self._snapshots.all()

    def diff(self, id: str, without: Collection[bytes] = ()) -> Iterator[bytes]:
        if self._snapshots.base(id) is None:
            raise errors.NotFound(f"there is no snapshot {id}")
        return diff.pieces(os.path.join(self._snapshots.path(id), "upper"), "", overlay=True, without=without)

    def usage(self, id: str) -> int:
        return measure.tree(self._snapshots.path(id))

    def mount_event_fd(self) -> int | None:
        """An open mount table: POLLPRI (with POLLERR) after each change; nothing needs to be read from it."""
        if self._events is None:
            self._events = os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
        return self._events


def file_system(path: str) -> str:
    """The type of the file system that holds ``path``."""
    over = mountinfo.read().over(os.path.realpath(path))
    return over.kind if over else "an unknown file system"


def _look_like(source: str, target: str) -> None:
    above = os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        below = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            trees.metadata(above, below, os.fstat(above))
        finally:
            os.close(below)
    finally:
        os.close(above)


def _try_out(aside: str) -> None:
    paths = {name: os.path.join(aside, name) for name in ("one", "two", "upper", "work", "rootfs")}
    for path in paths.values():
        os.mkdir(path, 0o700)
    for name in ("gone", "kept/hidden"):
        os.makedirs(os.path.join(paths["one"], name))
    os.mknod(os.path.join(paths["two"], "gone"), stat.S_IFCHR, 0)
    os.mkdir(os.path.join(paths["two"], "kept"))
    os.setxattr(os.path.join(paths["two"], "kept"), "trusted.overlay.opaque", b"y")
    overlayfs.attach(_SOURCE, paths["rootfs"], aside, ["two", "one"], paths["upper"], paths["work"])
    try:
        if os.listdir(paths["rootfs"]) != ["kept"] or os.listdir(os.path.join(paths["rootfs"], "kept")):
            raise OSError(0, "whiteouts have no effect on this file system")
        os.mkdir(os.path.join(paths["rootfs"], "new"))
    finally:
        syscalls.umount(paths["rootfs"], syscalls.MNT_DETACH | syscalls.UMOUNT_NOFOLLOW)


def make(place: str, given: options.Options) -> OverlayDriver:
    graph = store.GraphStore(place, "overlay", given.limits, volumes.Directories())
    return OverlayDriver(graph, given.value("overlay.mountopt", ()))


def _mountopt(value: str) -> tuple[str, ...]:
    names = tuple(value.split(","))
    for name in names:
        if name not in overlayfs.FLAGS:
            raise errors.Invalid(f"{name[:40]!r}: expected {', '.join(overlayfs.FLAGS)}, joined by commas")
    return names


OPTIONS = {"overlay.mountopt": _mountopt}
