"""Capabilities of a container: Docker's default set, with what its manifest adds and drops."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from reconciler.errors import Permanent

#: bit numbers in the kernel's order (include/uapi/linux/capability.h)
KNOWN = (
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP"),
    *("LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER"),
    *("SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE"),
    *("SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP"),
    *("MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF"),
    "CHECKPOINT_RESTORE",
)
#: what Docker gives
DEFAULT = frozenset(
    (
        *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW"),
        *("SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
    )
)


def resolve(add: tuple[str, ...], drop: tuple[str, ...], available: frozenset[str]) -> frozenset[str]:
    """The set as ``CAP_`` names. ``add`` and ``drop`` hold names without that prefix, or ``ALL``; an addition wins
    over a drop of the same name, as with Docker. Raises ``Permanent`` for an unknown name, or one to be added that
    this process does not have itself (``available``, names without prefix)."""
    for name in (*add, *drop):
        if name not in KNOWN and name != "ALL":
            raise Permanent(f"there is no capability {name!r}; known are ALL, {', '.join(KNOWN)}")
    if "ALL" in add:
        wanted = available - set(drop)
    else:
        wanted = frozenset() if "ALL" in drop else (DEFAULT & available) - set(drop)
        lacking = sorted(set(add) - available)
        if lacking:
            raise Permanent(f"the daemon itself lacks the capability {', '.join(lacking)}: it cannot be added")
        wanted |= set(add)
    return frozenset(f"CAP_{name}" for name in wanted)


@lru_cache(maxsize=1)
def available() -> frozenset[str]:
    """What this process may hand on: names without prefix."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapBnd:"):
            bits = int(line.split()[1], 16)
            return frozenset(name for bit, name in enumerate(KNOWN) if bits >> bit & 1)
    return frozenset()


def ordered(names: frozenset[str]) -> list[str]:
    """In the kernel's order, so that equal sets give equal texts."""
    return [f"CAP_{name}" for name in KNOWN if f"CAP_{name}" in names]
