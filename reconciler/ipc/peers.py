"""Whose process is at the other end of a client's socket, said by the kernel.

The API process hands over the socket itself, not what it read from it: so it can pass on its own clients' identities,
but cannot make one up."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Collection

from reconciler.model.callers import Caller

_CREDENTIALS = struct.Struct("3i")


def caller_of(fd: int, listening: Collection[str]) -> Caller | None:
    """Who connected the accepted unix socket ``fd``, which stays open; None when it was not accepted at one of
    ``listening`` (paths).

    A socket that somebody connected *to* a server bears that server's identity: so it must have our name, and its peer
    none, which every server has.
    """
    try:
        with socket.socket(fileno=os.dup(fd)) as client:
            if client.family != socket.AF_UNIX or client.getsockname() not in listening or client.getpeername():
                return None
            found = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    except OSError:
        return None
    pid, uid, gid = _CREDENTIALS.unpack(found)
    return Caller(uid, gid, pid)
