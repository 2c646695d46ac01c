"""The mounts that a path lookup would meet, from /proc/PID/mountinfo (proc(5)).

A mount counts only if a lookup of its mount point ends on it: one that a later mount covers, at the same
place or further up, is there but not seen.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

_ESCAPE = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    """One line. ``options`` are the file system's own (super options), ``flags`` the mount's."""

    id: int
    parent: int
    point: str
    flags: str
    kind: str
    source: str
    options: str


class Mounts:
    """A snapshot of a mount table."""

    def __init__(self, lines: str) -> None:
        self._at: dict[tuple[int, str], Mount] = {}
        found = [parse(line) for line in lines.splitlines()]
        ids = {mount.id for mount in found}
        self._roots: list[Mount] = []
        for mount in found:
            if mount.parent not in ids or mount.parent == mount.id:
                self._roots.append(mount)
            else:
                self._at[mount.parent, mount.point] = mount

    def under(self, path: str) -> list[str]:
        """The mount points below ``path``, deepest first, one for each mount there."""
        points = [mount.point for mount in self._at.values() if mount.point.startswith(path.rstrip("/") + "/")]
        return sorted(points, key=lambda point: point.count("/"), reverse=True)

    def root(self) -> Mount | None:
        """The mount that ``/`` is on."""
        base = next((mount for mount in self._roots if mount.point == "/"), None)
        return self._top(base, "/") if base else None

    def over(self, path: str) -> Mount | None:
        """The mount that the directory ``path`` (absolute, no links) is on."""
        current = self.root()
        for at in _prefixes(path):
            if current is None:
                return None
            current = self._top(current, at)
        return current

    def child(self, over: Mount | None, path: str) -> Mount | None:
        """The mount at exactly ``path``, a place below which nothing but ``over`` is in the way; None if there is
        none."""
        if over is None:
            return None
        top = self._top(over, path)
        return top if top is not over else None

    def _top(self, mount: Mount, path: str) -> Mount:
        """Follows the mounts stacked at ``path``, from ``mount`` on."""
        while (above := self._at.get((mount.id, path))) is not None:
            mount = above
        return mount


def read(pid: int | str = "self") -> Mounts:
    with open(f"/proc/{pid}/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return Mounts(file.read())


def everywhere() -> Iterator[Mount]:
    """The mounts of every mount namespace that some process is in, covered ones too. It reads one table for each, and
    a link of each process. Processes that come or go meanwhile may be left out."""
    seen: set[str] = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            namespace = os.readlink(f"/proc/{pid}/ns/mnt")
            if namespace in seen:
                continue
            with open(f"/proc/{pid}/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
                lines = file.read().splitlines()
        except OSError:
            continue
        seen.add(namespace)
        yield from map(parse, lines)


def parse(line: str) -> Mount:
    before, _, after = line.partition(" - ")
    fields, rest = before.split(" "), after.split(" ")
    options = rest[2] if len(rest) > 2 else ""
    return Mount(
        int(fields[0]), int(fields[1]), _plain(fields[4]), fields[5], rest[0], _plain(rest[1]), _plain(options)
    )


def _plain(text: str) -> str:
    """Undoes the octal escapes of blanks and backslashes."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), text) if "\\" in text else text


def _prefixes(path: str) -> list[str]:
    parts = path.strip("/").split("/")
    return ["/" + "/".join(parts[: count + 1]) for count in range(len(parts))]
