"""What a directory tree is, down to what careless tools lose: to compare trees with."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Node:
    """``content``: digest of a file's bytes, a link's target, or a device's number. ``links``: the names that share
    the file, if there are several. ``mtime`` in nanoseconds; None where it was not asked for."""

    type: str
    mode: int
    uid: int
    gid: int
    content: str
    mtime: int | None
    xattrs: dict[str, bytes] = field(default_factory=dict)
    links: tuple[str, ...] = ()


def describe(root: str, *, times: bool = True, directory_times: bool = True) -> dict[str, Node]:
    """Path below ``root`` ("." is itself) → node. Names that are not UTF-8 have surrogates."""
    shared: dict[tuple[int, int], list[str]] = {}
    found: dict[str, os.stat_result] = {}
    for directory, directories, names in os.walk(root):
        for name in [".", *directories, *names] if directory == root else [*directories, *names]:
            path = os.path.normpath(os.path.join(directory, name))
            status = os.lstat(path)
            key = os.path.relpath(path, root)
            found[key] = status
            if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
                shared.setdefault((status.st_dev, status.st_ino), []).append(key)
    return {
        key: _node(os.path.join(root, key), status, shared, times and (directory_times or not _is_dir(status)))
        for key, status in found.items()
    }


def _is_dir(status: os.stat_result) -> bool:
    return stat.S_ISDIR(status.st_mode)


def _node(path: str, status: os.stat_result, shared: dict[tuple[int, int], list[str]], times: bool) -> Node:
    mode = status.st_mode
    names = shared.get((status.st_dev, status.st_ino), [])
    content = ""
    if stat.S_ISLNK(mode):
        content = os.readlink(path)
    elif stat.S_ISREG(mode):
        with open(path, "rb") as file:
            content = hashlib.sha256(file.read()).hexdigest()
    elif stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        content = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    return Node(
        type=stat.filemode(mode)[0],
        mode=stat.S_IMODE(mode),
        uid=status.st_uid,
        gid=status.st_gid,
        content=content,
        mtime=status.st_mtime_ns if times else None,
        xattrs=_xattrs(path),
        links=tuple(sorted(names)) if len(names) > 1 else (),
    )


def _xattrs(path: str) -> dict[str, bytes]:
    return {
        key: os.getxattr(path, key, follow_symlinks=False)
        for key in os.listxattr(path, follow_symlinks=False)
        if not key.startswith("trusted.overlay.")
    }


def differences(one: dict[str, Node], other: dict[str, Node]) -> list[str]:
    """One line for each path that is not the same in both."""
    return [
        f"{path!r}: {one.get(path)} / {other.get(path)}"
        for path in sorted({*one, *other})
        if one.get(path) != other.get(path)
    ]
