"""Files below an instance's directories."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

#: what is inside an unpacked layer or a snapshot is the image's; that it is there is ours
_CLOSED = frozenset({"layers", "snapshots"})


def files(root: Path) -> list[str]:
    """Every file and directory below ``root`` with its kind, but what is mounted there or inside layers, snapshots."""
    if not root.exists():
        return []
    return sorted(_walk(root, os.lstat(root).st_dev))


def _walk(directory: Path, device: int) -> Iterator[str]:
    for entry in _entries(directory):
        found = entry.stat(follow_symlinks=False)
        yield f"{entry.path} ({_kind(found.st_mode)})"
        if stat.S_ISDIR(found.st_mode) and found.st_dev == device and directory.name not in _CLOSED:
            yield from _walk(Path(entry.path), device)


def _entries(directory: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def _kind(mode: int) -> str:
    kinds = {"directory": stat.S_ISDIR, "link": stat.S_ISLNK, "socket": stat.S_ISSOCK, "pipe": stat.S_ISFIFO}
    return next((name for name, test in kinds.items() if test(mode)), "file")
