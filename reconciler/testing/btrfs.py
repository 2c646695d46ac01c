"""A small btrfs of a test's own, on a loop device."""

from __future__ import annotations

import contextlib
import pathlib
import subprocess
from collections.abc import Iterator

from reconciler.drivers.graph import syscalls


@contextlib.contextmanager
def file_system(directory: pathlib.Path, size: str = "4G") -> Iterator[pathlib.Path]:
    """A btrfs mounted below ``directory`` for as long as the block runs.

    Nothing stays however the test ends: the image has no name once it is mounted, the kernel frees the loop device
    with its last mount, and that ends with the mount namespace of the test's process. Each has an image and a device
    to itself.
    """
    image, point = directory / "btrfs.image", directory / "btrfs"
    point.mkdir()
    subprocess.run(["truncate", "-s", size, str(image)], check=True)
    try:
        subprocess.run(["mkfs.btrfs", "-q", str(image)], check=True, capture_output=True)
        subprocess.run(["mount", "-o", "loop", str(image), str(point)], check=True)
    finally:
        image.unlink()
    try:
        yield point
    finally:
        syscalls.umount(str(point), syscalls.MNT_DETACH)
