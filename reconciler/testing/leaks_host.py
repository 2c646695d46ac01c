"""Mounts, named namespaces, cgroups, processes, descriptors."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_NUMBERS = re.compile(r"\d+")


def mounts(below: Sequence[str] | None = None) -> list[str]:
    """Every mount of this mount namespace (those at or below the given paths): where, what kind, from where."""
    lines = []
    for point, kind, source, root in _mounts():
        if below is None or any(point == path or point.startswith(path + "/") for path in below):
            lines.append(f"{point} is {kind} {root} of {source}")
    return lines


def namespaces() -> list[str]:
    """Namespaces that a mount keeps, and the names in ``/run/netns``."""
    named = Path("/run/netns")
    lines = [f"{point} holds {root}" for point, kind, _, root in _mounts() if kind == "nsfs"]
    return lines + [str(path) for path in (sorted(named.iterdir()) if named.is_dir() else [])]


def cgroups(part: str = "") -> list[str]:
    """Every cgroup of every hierarchy, v1 and v2, in whose path ``part`` occurs."""
    found = [str(path.relative_to(_CGROUPS)) for path in _directories(_CGROUPS)]
    return sorted(path for path in found if part in path)


def processes(instance: str, slice_name: str, roots: Sequence[str]) -> list[str]:
    """Processes of an instance: in one of its cgroups, or with its name or a path below its roots on the command line.

    Besides, children of this process that ended and were not waited for; but not this process and those above it.
    """
    own = _ancestors(os.getpid())
    return [line for pid in _pids() if pid not in own for line in _process(pid, instance, slice_name, roots)]


def descriptors(pid: int) -> list[str]:
    """What a process has open, without the numbers that differ each time."""
    lines = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            lines.append(f"{_NUMBERS.sub('N', os.readlink(entry))}")
        except FileNotFoundError:
            # it was closed meanwhile: the one that lists this directory, for instance
            continue
    return sorted(lines)


def _mounts() -> Iterator[tuple[str, str, str, str]]:
    """(mount point, file system, source, root in it)"""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        fields, (kind, source) = left.split(), right.split()[:2]
        yield fields[4], kind, source, fields[3]


def _directories(top: Path) -> Iterator[Path]:
    try:
        children = [Path(entry) for entry in os.scandir(top) if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return
    for child in children:
        yield child
        yield from _directories(child)


def _pids() -> list[int]:
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())


def _ancestors(pid: int) -> set[int]:
    found = set()
    while pid > 0:
        found.add(pid)
        pid = _parent(pid)
    return found


def _parent(pid: int) -> int:
    return int(_stat(pid)[1])


def _stat(pid: int) -> list[str]:
    """State, parent and so on: what follows the name, which may hold blanks and parentheses."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _process(pid: int, instance: str, slice_name: str, roots: Sequence[str]) -> list[str]:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
        groups = Path(f"/proc/{pid}/cgroup").read_text()
        state, parent = _stat(pid)[:2]
    except (FileNotFoundError, ProcessLookupError):
        return []
    if state == "Z":
        return [f"{pid} ended and was not waited for"] if int(parent) == os.getpid() else []
    named = instance in words or any(root in word for word in words for root in roots)
    return [f"{pid}: {' '.join(words)}"] if named or slice_name in groups else []
