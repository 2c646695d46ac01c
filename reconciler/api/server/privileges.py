"""Giving up root for good.

The interpreter may lie where only root can read, so everything is imported before ``confine`` is called.
"""

from __future__ import annotations

import ctypes
import os
import resource

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522
#: descriptors the process may open: clients, jobs and their streams
_OPEN_FILES = 8192

_libc = ctypes.CDLL(None, use_errno=True)


def confine(uid: int, gid: int) -> None:
    """Turns this process, which must have one thread, into ``uid`` and ``gid`` without other groups, capabilities,
    a way back, core dumps, or somebody's debugger on it. Raises ``OSError`` when any of it fails."""
    if os.geteuid() == 0:
        _empty_bounding_set()
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    if os.getresuid() != (uid, uid, uid) or os.getresgid() != (gid, gid, gid):
        raise PermissionError(f"the API process runs as {os.getresuid()}, not as user {uid} and group {gid}")
    _drop_capabilities()
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _prctl(_PR_SET_DUMPABLE, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def raise_open_files() -> None:
    """Allows as many descriptors as are useful and permitted."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def die_with_parent(parent: int, signal: int) -> None:
    """``signal`` comes when the thread that made this process ends. Call it after ``confine``, which clears it.

    Raises ``ProcessLookupError`` when ``parent`` has gone already.
    """
    _prctl(_PR_SET_PDEATHSIG, signal)
    if os.getppid() != parent:
        raise ProcessLookupError(f"the parent {parent} has gone")


def _empty_bounding_set() -> None:
    with open("/proc/sys/kernel/cap_last_cap", encoding="ascii") as file:
        last = int(file.read())
    for capability in range(last + 1):
        _prctl(_PR_CAPBSET_DROP, capability)


def _drop_capabilities() -> None:
    """Changing to another user empties some sets; the inheritable and ambient ones it may leave."""
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)()
    if _libc.capset(ctypes.byref(header), ctypes.byref(data)) != 0:
        raise OSError(ctypes.get_errno(), "dropping capabilities")


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"prctl {option}: {os.strerror(error)}")
