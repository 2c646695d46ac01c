"""What must hold of the paths of a container's mounts, said before the runtime says it in its own words."""

from __future__ import annotations

import os
import posixpath
import stat

from reconciler.drivers.exec import base, inside
from reconciler.errors import Permanent


def check(rootfs: str, mounts: tuple[base.BindMount | base.TmpfsMount, ...]) -> None:
    """Raises ``Permanent`` for a host path that is not there, and for a file and a directory that are to be mounted on
    one another; the sentence names the mount and the remedy."""
    targets = {posixpath.normpath(mount.target) for mount in mounts}
    for mount in mounts:
        if posixpath.normpath(mount.target) == "/dev":
            raise Permanent(
                f"mount {mount.target}: /dev holds the container's own devices and cannot be replaced; mount below it, "
                "or name another mountPath"
            )
        if isinstance(mount, base.BindMount):
            directory = _is_directory(mount)
            if not any(_below(mount.target, other) for other in targets):
                _check_target(rootfs, mount, directory)


def _is_directory(mount: base.BindMount) -> bool:
    try:
        return stat.S_ISDIR(os.stat(mount.source).st_mode)
    except (FileNotFoundError, NotADirectoryError) as error:
        missing = _first_missing(mount.source)
        reason = "is not there" if isinstance(error, FileNotFoundError) else "is below a file"
        detail = f" ({missing} is missing)" if missing != mount.source else ""
        raise Permanent(
            f"mount {mount.target}: the host path {mount.source} {reason}{detail}: make it on the host, such as with "
            f"'mkdir -p {mount.source}', or correct hostPath.path of this mount"
        ) from None


def _first_missing(path: str) -> str:
    parent = os.path.dirname(path)
    return path if parent in (path, "") or os.path.exists(parent) else _first_missing(parent)


def _below(target: str, other: str) -> bool:
    return posixpath.normpath(target).startswith(other.rstrip("/") + "/")


def _check_target(rootfs: str, mount: base.BindMount, directory: bool) -> None:
    """What is at the target in the image, followed as the runtime follows it: never out of the root."""
    mode = inside.mode(rootfs, mount.target.strip("/"))
    if mode is not None and stat.S_ISDIR(mode) != directory:
        kinds = ("a directory", "a file") if directory else ("a file", "a directory")
        raise Permanent(
            f"mount {mount.target}: the host path {mount.source} is {kinds[0]}, and the image has {kinds[1]} there: "
            "correct mountPath or hostPath.path of this mount"
        )
