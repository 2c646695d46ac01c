"""A place apart from the host: namespaces of our own, and private directories over those that peers keep state in."""

from __future__ import annotations

import ctypes
import os
import subprocess
from pathlib import Path

_CLONE_NEWNS, _CLONE_NEWNET, _CLONE_NEWIPC = 0x00020000, 0x40000000, 0x08000000
_MS_REC_PRIVATE = 0x4000 | (1 << 18)
#: where podman, its network tools and its locks keep what is not below the directories it is given, and what a boot
#: takes away: as on every host, that is a tmpfs
_HIDDEN = ("/run", "/var/lib/containers", "/var/lib/cni", "/dev/shm")
#: for the run directories of all whom we measure
RUN = Path("/run/bench")


_outside: list[int] = []


def enter() -> None:
    """From now on this process and its children have links, firewall and mounts of their own. Needs root."""
    _outside.append(os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS | _CLONE_NEWNET | _CLONE_NEWIPC) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    _mount(libc, b"none", b"/", None, _MS_REC_PRIVATE)
    for path in _HIDDEN:
        if Path(path).is_dir():
            _mount(libc, b"bench", path.encode(), b"tmpfs", 0)
    RUN.mkdir()
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def _mount(libc: ctypes.CDLL, source: bytes, target: bytes, kind: bytes | None, flags: int) -> None:
    if libc.mount(source, target, kind, flags, None) != 0:
        raise OSError(ctypes.get_errno(), "mount", os.fsdecode(target))


def with_network(*command: str) -> list[str]:
    """``command`` in the network of the host, for what has to be fetched."""
    return ["nsenter", f"--net=/proc/{os.getpid()}/fd/{_outside[0]}", *command] if _outside else [*command]


class Cgroups:
    """The cgroups that a peer makes below ``names`` at the top of each hierarchy: ``close`` removes those that were not
    there before."""

    def __init__(self, *names: str) -> None:
        root = Path("/sys/fs/cgroup")
        hierarchies = [root, *(path for path in root.iterdir() if path.is_dir() and not path.is_symlink())]
        places = [top / name for top in hierarchies for name in names]
        self._new = [place for place in places if not place.exists()]

    def close(self) -> None:
        for top in self._new:
            for place in sorted(_directories(top), reverse=True):
                place.rmdir()


def _directories(top: Path) -> list[Path]:
    return [Path(place) for place, _, _ in os.walk(top)]
