"""Opening what is below a root file system without being led out of it: its links are a stranger's."""

from __future__ import annotations

import ctypes
import os

_SYS_OPENAT2 = 437
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_IN_ROOT = 0x10


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_path(root: int, path: str, flags: int = 0) -> int:
    """An O_PATH descriptor of ``path`` below the directory ``root``, links followed within it (openat2(2)). Raises
    ``OSError``."""
    how = _OpenHow(os.O_PATH | os.O_CLOEXEC | flags, 0, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.syscall(_SYS_OPENAT2, root, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))
    if fd < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return int(fd)


def mode(rootfs: str, path: str) -> int | None:
    """The mode of what ``path`` leads to below ``rootfs``; None when there is nothing."""
    root = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fd = open_path(root, path)
    except OSError:
        return None
    finally:
        os.close(root)
    try:
        return os.fstat(fd).st_mode
    finally:
        os.close(fd)
