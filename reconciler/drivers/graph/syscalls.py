"""The system calls of mounts and confinement that Python does not have.

Light on purpose: the extraction helper imports it. Numbers are those of the table that all architectures share since
Linux 5.1 (asm-generic/unistd.h). Every function raises ``OSError``.
"""

from __future__ import annotations

import ctypes
import errno
import os
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

CLONE_FS = 0x00000200
CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWNET = 0x40000000

MS_NOSUID = 2
MS_NODEV = 4
MS_NOATIME = 1024
MS_REC = 0x4000
MS_PRIVATE = 1 << 18
MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_NOEXEC = 0x8
MOUNT_ATTR_NOATIME = 0x10

_SYS_OPEN_TREE = 428
_SYS_MOVE_MOUNT = 429
_SYS_FSOPEN = 430
_SYS_FSCONFIG = 431
_SYS_FSMOUNT = 432
_SYS_MOUNT_SETATTR = 442

_RENAME_EXCHANGE = 2
_OPEN_TREE_CLONE = 1
_OPEN_TREE_CLOEXEC = os.O_CLOEXEC
_MOVE_MOUNT_F_EMPTY_PATH = 4
_FSOPEN_CLOEXEC = 1
_FSMOUNT_CLOEXEC = 1
_FSCONFIG_SET_FLAG = 0
_FSCONFIG_SET_STRING = 1
_FSCONFIG_CMD_CREATE = 6

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class _MountAttr(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def _checked(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def _call(what: str, number: int, *arguments: int | bytes | None) -> int:
    converted = [ctypes.c_long(value) if isinstance(value, int) else ctypes.c_char_p(value) for value in arguments]
    return _checked(int(_libc.syscall(ctypes.c_long(number), *converted)), what)


def unshare(flags: int) -> None:
    """With CLONE_FS or CLONE_NEWNS it is the calling thread alone that moves."""
    _checked(_libc.unshare(flags), "unshare")


def setns(fd: int, kind: int) -> None:
    _checked(_libc.setns(fd, kind), "setns")


def mount(source: str, target: str, kind: str, flags: int, data: str) -> None:
    arguments = [os.fsencode(text) if text else None for text in (source, target, kind)]
    _checked(_libc.mount(*arguments, ctypes.c_ulong(flags), os.fsencode(data) if data else None), f"mount {target}")


def umount(target: str, flags: int = UMOUNT_NOFOLLOW) -> None:
    _checked(_libc.umount2(os.fsencode(target), flags), f"umount {target}")


def exchange(one: str, other: str) -> None:
    """Two names of a file system change what they mean, at once (renameat2(2), RENAME_EXCHANGE)."""
    paths = os.fsencode(one), os.fsencode(other)
    _checked(_libc.renameat2(AT_FDCWD, paths[0], AT_FDCWD, paths[1], _RENAME_EXCHANGE), f"exchange {one}")


def syncfs(fd: int) -> None:
    """Writes out the file system that holds ``fd``; an error of earlier write-back is raised here."""
    _checked(_libc.syncfs(fd), "syncfs")


def open_tree(path: str) -> int:
    """A descriptor of a detached copy of the mount at ``path``, rooted there: no ``..`` leads out of it."""
    return _call(
        f"open_tree {path}", _SYS_OPEN_TREE, AT_FDCWD, os.fsencode(path), _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC
    )


def move_mount(fd: int, target: str) -> None:
    """Attaches a detached mount at ``target``."""
    _call(f"move_mount {target}", _SYS_MOVE_MOUNT, fd, b"", AT_FDCWD, os.fsencode(target), _MOVE_MOUNT_F_EMPTY_PATH)


def mount_setattr(fd: int, *, add: int = 0, clear: int = 0) -> None:
    """Sets and clears MOUNT_ATTR flags of the mount whose root ``fd`` is."""
    attributes = _MountAttr(add, clear, 0, 0)
    size = ctypes.sizeof(attributes)
    result = _libc.syscall(
        ctypes.c_long(_SYS_MOUNT_SETATTR),
        ctypes.c_long(fd),
        ctypes.c_char_p(b""),
        ctypes.c_long(AT_EMPTY_PATH),
        ctypes.byref(attributes),
        ctypes.c_size_t(size),
    )
    _checked(int(result), "mount_setattr")


def new_mount(kind: str, options: list[tuple[str, str]], attributes: int = 0) -> int:
    """A descriptor of a new, still detached mount of a file system; an option with an empty value is a flag.

    The error carries the kernel's own words, where it has some.
    """
    context = _call(f"fsopen {kind}", _SYS_FSOPEN, kind.encode(), _FSOPEN_CLOEXEC)
    try:
        for key, value in options:
            command = _FSCONFIG_SET_STRING if value else _FSCONFIG_SET_FLAG
            _call(
                f"fsconfig {key}",
                _SYS_FSCONFIG,
                context,
                command,
                key.encode(),
                os.fsencode(value) if value else None,
                0,
            )
        _call(f"mounting {kind}", _SYS_FSCONFIG, context, _FSCONFIG_CMD_CREATE, None, None, 0)
        return _call(f"fsmount {kind}", _SYS_FSMOUNT, context, _FSMOUNT_CLOEXEC, attributes)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}{_kernel_words(context)}") from None
    finally:
        os.close(context)


def _kernel_words(context: int) -> str:
    """The messages that the kernel left in a file system context."""
    words: list[str] = []
    while len(words) < 8:
        try:
            words.append(os.read(context, 1024).decode(errors="replace").strip())
        except OSError:
            break
    return f" ({'; '.join(words)})" if words else ""


def apart(action: Callable[[], T]) -> T:
    """Runs ``action`` on a thread that ends with it, so that it may move to another directory or namespace."""
    results: list[T] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            results.append(action())
        except BaseException as error:  # noqa: BLE001 - raised again on the caller's thread
            failures.append(error)

    thread = threading.Thread(target=run)
    try:
        thread.start()
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, str(error)) from error
    thread.join()
    if failures:
        raise failures[0]
    return results[0]
