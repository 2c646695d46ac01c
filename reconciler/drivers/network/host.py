"""What the instances of one host share: the IPv4 forwarding switch, and a lock for choosing subnets and ports.

The file (below /run, so it ends with the boot) is the lock, and holds for each network namespace the value that
ip_forward had before the first of us switched it on. Who removes the last bridge of any instance sets it back.
It is kept here and not in an instance's own store, because another instance may be the last to need forwarding.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

from reconciler import failpoints
from reconciler.drivers.network import system

FILE = Path("/run/pydock-network.json")
_FORWARD = "net/ipv4/ip_forward"


class Host:
    """The shared state, seen from the network namespace of the thread that makes this object."""

    def __init__(self, path: Path = FILE) -> None:
        self._path = path
        self._namespace = str(os.stat("/proc/thread-self/ns/net").st_ino)

    @contextlib.contextmanager
    def turn(self) -> Iterator[Turn]:
        """Keeps every other instance out meanwhile."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield Turn(descriptor, self._namespace)
        finally:
            os.close(descriptor)


class Turn:
    """What may be done while it is our turn."""

    def __init__(self, descriptor: int, namespace: str) -> None:
        self._descriptor = descriptor
        self._namespace = namespace

    def forget_if_first(self, bridges: int) -> None:
        """Drops a note that outlived its bridges (``bridges`` is how many there are, of all instances): it tells of
        another life of this namespace, and somebody else may have switched forwarding since."""
        if bridges == 0:
            self._note(None)

    def switch_on(self) -> None:
        """Switches forwarding on unless it is, after noting that we do."""
        before = system.read_setting(_FORWARD)
        if before != "1":
            self._note(before or "0")
            failpoints.hit("network.forwarding.note.after")
            system.write_setting(_FORWARD, "1")
            failpoints.hit("network.forwarding.on.after")

    def switch_back(self, bridges: int) -> None:
        """Sets forwarding back if we had switched it on and no bridge of any instance is left."""
        before = self._read().get(self._namespace)
        if bridges == 0 and before is not None:
            system.write_setting(_FORWARD, before)
            failpoints.hit("network.forwarding.off.after")
            self._note(None)

    def _read(self) -> dict[str, str]:
        line = os.pread(self._descriptor, 1 << 16, 0).split(b"\n")[0]
        try:
            found = json.loads(line or b"{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def _note(self, before: str | None) -> None:
        """One write, and only the first line counts: who is killed in between leaves the old note or the new one."""
        notes = self._read()
        if notes.get(self._namespace) == before:
            return
        if before is None:
            del notes[self._namespace]
        else:
            notes[self._namespace] = before
        line = json.dumps(notes).encode() + b"\n" if notes else b"\n"
        os.pwrite(self._descriptor, line, 0)
        os.ftruncate(self._descriptor, len(line))


def forwarding() -> bool:
    """Whether the host forwards IPv4."""
    return system.read_setting(_FORWARD) == "1"
