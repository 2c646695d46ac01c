"""A small file system in memory for the few files of a container that it may write to (hosts, resolv.conf, hostname).

It is mounted while the runtime creates the container, which binds the files into it; then it is taken off the host's
tree and lives as long as the container's mounts do. So nothing of it is left on the host, and a container that fills
its /etc/hosts fills one megabyte, not /run.
"""

from __future__ import annotations

import ctypes
import os

from reconciler import failpoints

_NOSUID, _NODEV, _NOEXEC, _DETACH = 2, 4, 8, 2
_OPTIONS = "size=1m,nr_inodes=32,mode=0755"
_libc = ctypes.CDLL(None, use_errno=True)


def mount(path: str) -> None:
    """Makes the directory ``path`` and mounts the file system there. Raises ``OSError``."""
    os.mkdir(path, 0o700)
    flags = _NOSUID | _NODEV | _NOEXEC
    _check(_libc.mount(b"pydock-files", os.fsencode(path), b"tmpfs", flags, _OPTIONS.encode()), path)
    failpoints.hit("exec.files.mount.after")


def take_off(path: str) -> None:
    """Unmounts whatever is mounted at ``path``, whoever still uses it; nothing is no error. Raises ``OSError``."""
    if os.path.ismount(path):
        _check(_libc.umount2(os.fsencode(path), _DETACH), path)
        failpoints.hit("exec.files.unmount.after")


def _check(result: int, path: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
