"""Frames and passed descriptors on a socket."""

from __future__ import annotations

import array
import os
import socket
from collections.abc import Sequence

#: bytes of the largest request and the largest reply
REQUEST_LIMIT = 8 << 20
REPLY_LIMIT = 64 << 20
#: descriptors that one request may carry, the client's own socket among them
MAX_FDS = 5
#: messages of the control socket: a job's stream comes along; a sign of life is asked for, and given
JOB = b"J"
PULSE = b"P"

_HEADER = 4
_READ = 1 << 16
_INT = array.array("i").itemsize


class CallerLeft(ConnectionError):
    """the caller left before the job ended"""


class FrameError(ConnectionError):
    """What came is no frame: the stream cannot be used any more."""


def pack(payload: bytes, limit: int) -> bytes:
    """One frame's header. Raises ``FrameError`` when ``payload`` is larger than ``limit`` bytes."""
    if len(payload) > limit:
        raise FrameError(f"a frame of {len(payload)} bytes is over the limit of {limit}")
    return len(payload).to_bytes(_HEADER, "big")


def rights(fds: Sequence[int]) -> list[tuple[int, int, array.array[int]]]:
    """Ancillary data for ``sendmsg`` that passes ``fds``."""
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []


def receive_with_fds(sock: socket.socket, size: int, most: int) -> tuple[bytes, list[int]]:
    """One ``recvmsg`` of up to ``size`` bytes with up to ``most`` descriptors, close-on-exec; surplus ones are closed.

    Empty bytes mean end of file.
    """
    data, ancillary, _, _ = sock.recvmsg(size, socket.CMSG_LEN(most * _INT), socket.MSG_CMSG_CLOEXEC)
    fds = array.array("i")
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(content[: len(content) - len(content) % _INT])
    for surplus in fds[most:]:
        os.close(surplus)
    return data, list(fds[:most])


class Channel:
    """Whole frames over one end of a job's stream; not safe for two threads on the same direction.

    Its socket's timeout holds for each read and write (``TimeoutError``).
    """

    def __init__(self, sock: socket.socket, expect_fds: bool = False) -> None:
        self.sock = sock
        self._buffer = bytearray()
        self._expect_fds = expect_fds
        self.fds: list[int] = []

    def send(self, payload: bytes, limit: int, fds: Sequence[int] = ()) -> None:
        """Writes one frame, with ``fds`` beside its first bytes."""
        header = pack(payload, limit)
        sent = self.sock.sendmsg([header, payload], rights(fds))
        if sent < _HEADER:
            self.sock.sendall(header[sent:])
        rest = max(sent - _HEADER, 0)
        if rest < len(payload):
            self.sock.sendall(memoryview(payload)[rest:])

    def receive(self, limit: int) -> bytearray | None:
        """The next frame's payload; None at end of file. Raises ``FrameError`` for one over ``limit`` or cut short."""
        if not self._fill(_HEADER):
            return None
        size = int.from_bytes(self._buffer[:_HEADER], "big")
        if size > limit:
            raise FrameError(f"a frame of {size} bytes is over the limit of {limit}")
        return self._take(size)

    def holds_frame(self) -> bool:
        """Whether a whole frame has been read already, so that the socket need not become readable for it."""
        size = len(self._buffer)
        return size >= _HEADER and size - _HEADER >= int.from_bytes(self._buffer[:_HEADER], "big")

    def _fill(self, size: int) -> bool:
        """Reads until ``size`` bytes are buffered; False at end of file before the first one."""
        while len(self._buffer) < size:
            data = self._read()
            if not data and self._buffer:
                raise FrameError("the stream ended inside a frame")
            if not data:
                return False
            self._buffer += data
        return True

    def _read(self) -> bytes:
        if not self._expect_fds:
            return self.sock.recv(_READ)
        # Descriptors come with the first bytes only: later ones are dropped (and closed) by the kernel.
        self._expect_fds = False
        data, self.fds = receive_with_fds(self.sock, _READ, MAX_FDS)
        return data

    def _take(self, size: int) -> bytearray:
        """The next ``size`` bytes after the header, read straight into place when they are many."""
        frame = self._buffer[_HEADER : _HEADER + size]
        del self._buffer[: _HEADER + size]
        have = len(frame)
        if have == size:
            return frame
        frame.extend(bytes(size - have))
        with memoryview(frame) as view:
            while have < size:
                got = self.sock.recv_into(view[have:])
                if not got:
                    raise FrameError("the stream ended inside a frame")
                have += got
        return frame

    def close(self) -> None:
        self.sock.close()
