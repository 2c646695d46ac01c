"""Who asks."""

from __future__ import annotations

from typing import NamedTuple


class Caller(NamedTuple):
    """The process at the other end of a client's socket when it connected, as the kernel knows it."""

    uid: int
    gid: int
    pid: int

    def __str__(self) -> str:
        return f"uid {self.uid} gid {self.gid} pid {self.pid}"
