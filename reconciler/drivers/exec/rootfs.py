"""What must hold of an image's root file system before a runtime works in it from the outside."""

from __future__ import annotations

import os
import stat

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
