"""Small file systems, and how they become full."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def small(path: Path, mebibytes: int) -> Iterator[Path]:
    """A file system of so many MiB at ``path``, which is made."""
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def fill(file: Path) -> None:
    """Takes the last byte that there is for ``file``."""
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as writer:
        while True:
            writer.write(b"\0" * 65536)
    with contextlib.suppress(OSError), file.open("ab", buffering=0) as writer:
        while True:
            writer.write(b"\0")
