"""What must hold of an image's root file system before a runtime works in it from the outside."""

from __future__ import annotations

import contextlib
import os
import posixpath
import stat
from collections.abc import Iterable

from reconciler.drivers.exec import inside
from reconciler.errors import Permanent

#: where the runtime mounts, and makes links and devices, while it still sees the host
_SYSTEM_DIRECTORIES = ("dev", "proc", "sys")


def check(rootfs: str) -> None:
    """Raises ``Permanent`` where a system directory is something else.

    Measured with runc 1.1.5: an image whose /dev is a link to a directory of the host gets ``fd``, ``stdin``,
    ``stdout`` and ``stderr`` made in that directory, on the host.
    """
    if not os.path.isdir(rootfs):
        raise Permanent(f"the root file system {rootfs} is not there")
    for name in _SYSTEM_DIRECTORIES:
        try:
            mode = os.lstat(os.path.join(rootfs, name)).st_mode
        except FileNotFoundError:
            continue
        if not stat.S_ISDIR(mode):
            raise Permanent(f"/{name} of the image is not a directory: such an image is not run")


def make_directories(rootfs: str, paths: Iterable[str]) -> None:
    """Makes directories of root's (mode 0755), and those above them, where nothing is. A path that leads to something
    else, or out of a file, is left to whoever uses it. Raises ``Permanent`` when the disk does not take them."""
    root = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for path in paths:
            _make(root, posixpath.normpath("/" + path.lstrip("/")).strip("/"))
    finally:
        os.close(root)


def _make(root: int, path: str) -> None:
    above = os.dup(root)
    try:
        for end in (place for place in range(1, len(path) + 1) if path[place : place + 1] in ("", "/")):
            below = _enter(root, above, path[:end])
            if below is None:
                return
            os.close(above)
            above = below
    finally:
        os.close(above)


def _enter(root: int, above: int, path: str) -> int | None:
    """The directory at ``path``, made in ``above`` if nothing is there; None where something else is."""
    try:
        return inside.open_path(root, path, os.O_DIRECTORY)
    except FileNotFoundError:
        pass
    except OSError:
        return None
    name = posixpath.basename(path)
    try:
        os.mkdir(name, 0o755, dir_fd=above)
    except FileExistsError:  # a link to nowhere
        return None
    except OSError as error:
        raise Permanent(f"the directory /{path}, which the image wants, cannot be made: {error.strerror}") from None
    with contextlib.suppress(OSError):
        os.chmod(name, 0o755, dir_fd=above)  # whatever the umask
    return inside.open_path(root, path, os.O_DIRECTORY)
