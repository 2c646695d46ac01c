"""Control groups: where a container's are, how they are emptied and removed.

Three layouts: ``v1`` (a hierarchy a controller), ``hybrid`` (the same, and a v2 tree beside it), ``v2`` (one tree).
A *group* is a path below the root of every hierarchy, such as ``pydock-main.slice/web-1``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from reconciler import failpoints
from reconciler.errors import Permanent

Mode = Literal["v1", "hybrid", "v2"]

#: what the kernel answers of a file whose group or process has just ended
GONE = (errno.ENOENT, errno.ESRCH, errno.ENODEV)

#: hierarchies of v1 that conmon is moved in: those that count its memory and tasks, and those by which systemd kills
_SUPERVISOR_HIERARCHIES = ("memory", "pids", "name=systemd", "")


class Layout(msgspec.Struct, frozen=True):
    """``hierarchies``: controller (``name=systemd`` for a named one, ``""`` for the v2 tree) → its mount point.
    Controllers mounted together share one mount point."""

    mode: Mode
    hierarchies: dict[str, str]

    def mounts(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.hierarchies.values()))

    def directory(self, controller: str, group: str) -> str:
        """The group's directory where ``controller`` is governed."""
        mount = self.hierarchies.get("" if self.mode == "v2" else controller, "")
        return f"{mount}/{group}" if mount else ""

    def directories(self, group: str) -> tuple[str, ...]:
        return tuple(f"{mount}/{group}" for mount in self.mounts())


def detect(mountinfo: str, root: str = "/sys/fs/cgroup") -> Layout:
    """Reads the layout from the text of /proc/self/mountinfo. Raises ``Permanent`` when no cgroup is mounted."""
    hierarchies: dict[str, str] = {}
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        mount, kind = left.split(" ")[4], right.split(" ")
        if kind[0] == "cgroup2" and _below(mount, root):
            hierarchies.setdefault("", mount)
        elif kind[0] == "cgroup" and _below(mount, root):
            for name in kind[2].split(","):
                if name not in ("rw", "ro", "xattr", "clone_children", "none") and not name.startswith("release_agent"):
                    hierarchies.setdefault(name, mount)
    if not hierarchies:
        raise Permanent(f"no cgroup hierarchy is mounted below {root}")
    if hierarchies.get("") == root:
        return Layout(mode="v2", hierarchies={"": root})
    return Layout(mode="hybrid" if "" in hierarchies else "v1", hierarchies=hierarchies)


def _below(mount: str, root: str) -> bool:
    return mount == root or mount.startswith(root + "/")


def slice_path(name: str) -> str:
    """Where systemd puts a slice: ``pydock-a.slice`` → ``pydock.slice/pydock-a.slice``."""
    parts = name.removesuffix(".slice").split("-")
    return "/".join("-".join(parts[: index + 1]) + ".slice" for index in range(len(parts)))


def join_supervisor(layout: Layout, group: str, pid: int) -> None:
    """Moves conmon into its own group. The first write waits for a grace period of the kernel (about 10 ms)."""
    for mount in dict.fromkeys(filter(None, map(layout.hierarchies.get, _SUPERVISOR_HIERARCHIES))):
        directory = f"{mount}/{group}"
        os.makedirs(directory, exist_ok=True)
        failpoints.hit("exec.supervisor.group.after")
        write_text(f"{directory}/cgroup.procs", str(pid))
        failpoints.hit("exec.supervisor.join.after")


def in_group(group: str, pid: int) -> bool:
    """Whether the process is in that group in some hierarchy."""
    lines = (read_text(f"/proc/{pid}/cgroup") or "").splitlines()
    return any(line.split(":", 2)[2] == "/" + group for line in lines)


def exists(layout: Layout, group: str) -> bool:
    return any(os.path.isdir(directory) for directory in layout.directories(group))


def children(layout: Layout, group: str) -> set[str]:
    """Names of the groups directly below ``group`` in any hierarchy."""
    found: set[str] = set()
    for directory in layout.directories(group):
        with contextlib.suppress(FileNotFoundError), os.scandir(directory) as entries:
            found.update(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    return found


def kill_all(layout: Layout, group: str) -> None:
    """Sends SIGKILL to every process of the group and of those below it, frozen ones included."""
    for directory in layout.directories(group):
        if not os.path.isdir(directory):
            continue
        if _try_write(f"{directory}/cgroup.kill", "1"):
            continue
        for inner in _tree(directory):
            for pid in _members(inner):
                _kill_member(inner, pid)
            # v1 delivers no signal to a frozen task
            _try_write(f"{inner}/freezer.state", "THAWED")


def _kill_member(directory: str, pid: int) -> None:
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        # read again with the descriptor open: the pid may have been reused since the first reading
        if pid in _members(directory):
            signal.pidfd_send_signal(fd, signal.SIGKILL)
    except ProcessLookupError:
        pass
    finally:
        os.close(fd)


def remove(layout: Layout, group: str, timeout: float) -> bool:
    """Removes the group and those below it from every hierarchy, killing what is in them.

    False when something was still there after ``timeout`` seconds (a process in uninterruptible sleep)."""
    deadline = time.monotonic() + timeout
    pause = 0.0005
    left = [directory for directory in layout.directories(group) if not _remove_tree(directory)]
    while left:
        kill_all(layout, group)
        left = [directory for directory in left if not _remove_tree(directory)]
        if left and time.monotonic() > deadline:
            return False
        if left:
            time.sleep(pause)
            pause = min(pause * 2, 0.02)
    return True


def remove_empty(layout: Layout, group: str) -> None:
    """Removes the group where nothing is in it or below it."""
    for directory in layout.directories(group):
        with contextlib.suppress(OSError):
            os.rmdir(directory)


def _remove_tree(directory: str) -> bool:
    for inner in _tree(directory):
        try:
            os.rmdir(inner)
        except FileNotFoundError:
            continue
        except OSError:
            return False
    return True


def _tree(directory: str) -> Iterator[str]:
    """The directory and those below it, deepest first."""
    try:
        with os.scandir(directory) as entries:
            inner = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return
    for path in inner:
        yield from _tree(path)
    yield directory


def members(layout: Layout, group: str) -> set[int]:
    """Pids of the group and of those below it, in any hierarchy."""
    return {pid for top in layout.directories(group) for inner in _tree(top) for pid in _members(inner)}


def _members(directory: str) -> set[int]:
    return {int(line) for line in (read_text(f"{directory}/cgroup.procs") or "").split() if line != "0"}


def oom_kills(layout: Layout, group: str) -> int:
    """How many processes of the group the kernel has killed for want of memory (0 when the group is gone)."""
    directory = layout.directory("memory", group)
    name = "memory.events" if layout.mode == "v2" else "memory.oom_control"
    for line in (read_text(f"{directory}/{name}") or "").splitlines() if directory else ():
        key, _, value = line.partition(" ")
        if key == "oom_kill":
            return int(value)
    return 0


def read_text(path: str) -> str | None:
    """The text of a kernel's file; None when it, its group or its process is gone."""
    try:
        return Path(path).read_text()
    except OSError as error:
        # anything else, such as too many open files, must not be taken for an end
        if error.errno in GONE:
            return None
        raise


def write_text(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _try_write(path: str, text: str) -> bool:
    try:
        write_text(path, text)
    except OSError:
        return False
    return True


def supported(layout: Layout, controllers: Iterable[str]) -> tuple[str, ...]:
    """Those of ``controllers`` that this host's hierarchies offer."""
    if layout.mode != "v2":
        return tuple(name for name in controllers if name in layout.hierarchies)
    offered = (read_text(layout.hierarchies[""] + "/cgroup.controllers") or "").split()
    return tuple(name for name in controllers if name in offered)
