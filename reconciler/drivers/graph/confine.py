"""Walls around the extraction of a layer.

The helper sees the new layer's directory as its root, and nothing else: a detached copy of its mount (nodev, nosuid,
noexec) of which no ``..`` leads out, in mount, network, IPC and UTS namespaces of its own. It keeps the capabilities
that writing files of any owner takes; CAP_SYS_ADMIN, CAP_SYS_CHROOT, CAP_KILL and the rest are gone for good. Its user
is one that no account and no other process has, so that it can signal nobody, other helpers neither; and it can start
no process.

Behind the walls ``/usr/lib`` is the image's: nothing may be imported or loaded there any more. ``enter`` takes
Python's ways of importing away; ``noexec`` keeps the dynamic linker from mapping a library.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal
import sys

from reconciler.drivers.graph import syscalls

#: linux/capability.h: CHOWN, DAC_OVERRIDE, FOWNER, FSETID, MKNOD, SETFCAP
_KEPT = (0, 1, 3, 4, 27, 31)
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_KEEPCAPS = 8
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION_3 = 0x20080522
_PRIVATE = syscalls.CLONE_NEWNS | syscalls.CLONE_NEWNET | syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS
_HARMLESS = syscalls.MOUNT_ATTR_NODEV | syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NOEXEC
READ_ONLY = _HARMLESS | syscalls.MOUNT_ATTR_RDONLY
#: users and groups that no account has, one for each process id (2^22 at most). It is above what containers and
#: sub-ids are given and below systemd's foreign ids (systemd, "Users, Groups, UIDs and GIDs on systemd Systems").
_USERS = 0x7F000000
#: seconds between SIGXCPU, which tells why a process ended, and SIGKILL, which does not
_GRACE = 5
_MEMORY = 1 << 30
_FILES = 4096

_libc = ctypes.CDLL(None, use_errno=True)


def die_with(parent: int) -> None:
    """Ends this process when the thread that started it ends; at once if ``parent`` is gone already."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit("the process that asked for this is gone")


def leave_host() -> None:
    """Moves into namespaces of its own; mounts made from here on are nobody else's."""
    syscalls.unshare(_PRIVATE)
    syscalls.mount("none", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE, "")


def view(path: str, *, read_only: bool) -> int:
    """A descriptor of a directory from which nothing above it can be reached."""
    descriptor = syscalls.open_tree(path)
    syscalls.mount_setattr(descriptor, add=READ_ONLY if read_only else _HARMLESS)
    return reopened(descriptor)


def reopened(mount: int) -> int:
    """A descriptor to work with, of the root of a detached mount (whose own descriptor only names it)."""
    return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=mount)


def enter(root: int, *, seconds: int, file_size: int) -> None:
    """Makes ``root`` the whole world, and gives up what is not needed there. ``seconds`` of processor time are left,
    and a thread besides the present one. No file may have more than ``file_size`` bytes."""
    ctypes.CDLL("libgcc_s.so.1")  # glibc loads it when a thread ends
    os.fchdir(root)
    os.chroot(".")
    for ways in (sys.path, sys.path_hooks, sys.meta_path):
        ways.clear()
    os.umask(0)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_DATA, _MEMORY)
    _limit(resource.RLIMIT_NOFILE, _FILES)
    _limit(resource.RLIMIT_CPU, seconds, more=_GRACE)
    _limit(resource.RLIMIT_FSIZE, file_size)
    _limit(resource.RLIMIT_NPROC, 2)
    _give_up_power()
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _prctl(_PR_SET_DUMPABLE, 0)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def stay_alone() -> None:
    """From now on no thread or process can be started."""
    _limit(resource.RLIMIT_NPROC, 0)


def _limit(kind: int, value: int, more: int = 0) -> None:
    """``more``: how far the hard limit is above the soft one."""
    hard = resource.getrlimit(kind)[1]
    wanted = value if hard == resource.RLIM_INFINITY else min(value, hard)
    most = wanted + more if hard == resource.RLIM_INFINITY else min(wanted + more, hard)
    resource.setrlimit(kind, (wanted, most))


def _give_up_power() -> None:
    """Becomes a user whom no other process has, as no other has this process id, with few capabilities."""
    for number in range(64):
        if number not in _KEPT and _libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0) < 0:
            if ctypes.get_errno() != errno.EINVAL:
                raise OSError(ctypes.get_errno(), "giving up capabilities")
            break  # the first number that this kernel does not know
    _prctl(_PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    user = _USERS + os.getpid()
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    kept = sum(1 << number for number in _KEPT)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)(kept, kept, 0, 0, 0, 0)
    if _libc.capset(ctypes.byref(header), ctypes.byref(data)) < 0:
        raise OSError(ctypes.get_errno(), "capset")


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")
