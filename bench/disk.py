"""File systems of one measurement's own.

A file system on which many files were removed a moment ago makes new ones slowly (ext4 keeps their inodes for a while,
and looks for others), so whoever comes second would pay for the first. Each gets a new one.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

_SIZE = 16 << 30


@contextlib.contextmanager
def fresh(work: Path) -> Iterator[Path]:
    """An ext4 in a sparse file below ``work``, mounted for as long as the block runs."""
    image, place = work / "disk", work / "mnt"
    place.mkdir(exist_ok=True)
    with open(image, "wb") as file:
        file.truncate(_SIZE)
    try:
        _run("mkfs.ext4", "-q", str(image))
        _run("mount", "-o", "loop", str(image), str(place))
        os.sync()
        try:
            yield place
        finally:
            _unmount(place)
    finally:
        image.unlink()


def _unmount(place: Path) -> None:
    """With whatever is mounted below it."""
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for path in sorted((path for path in mounts if path == str(place) or path.startswith(f"{place}/")), reverse=True):
        _run("umount", path)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
