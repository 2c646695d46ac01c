"""The client's connection: whose request it is, and the one way to take it over."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

#: where the worker puts the client's socket
_SOCKET = "gunicorn.socket"
#: what the worker has read beyond the request that this thread answers
_ahead = threading.local()

#: takes the client's socket, which it closes, and the bytes that came behind the request
Session = Callable[[socket.socket, bytes], None]


def client(environ: dict[str, Any]) -> int:
    """The descriptor of the client's socket; it stays the worker's. -1 when there is none: a rehearsal, or a test."""
    sock = environ.get(_SOCKET)
    return -1 if sock is None else int(sock.fileno())


@contextmanager
def reading(take: Callable[[], bytes]) -> Iterator[None]:
    """The worker's: ``take`` gives the bytes that were read beyond the request which is answered meanwhile."""
    _ahead.take = take
    try:
        yield
    finally:
        del _ahead.take


class Takeover:
    """A WSGI answer that hands the connection to ``session``, for a protocol other than HTTP (``101 Switching
    Protocols``, which the session writes itself).

    The session runs in the request's thread, or starts one of its own and returns: then the thread is free. The worker
    forgets the connection; nothing of it is written, shut down or closed but by the session.
    """

    def __init__(self, environ: dict[str, Any], session: Session) -> None:
        self._environ, self._session = environ, session

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        ahead = _ahead.take()
        taken = socket.socket(fileno=self._environ[_SOCKET].detach())
        taken.settimeout(None)
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            taken.setsockopt(socket.SOL_SOCKET, option, bytes(16))
        self._session(taken, ahead)
        # to the worker the client has left: it writes nothing, not even the headers
        raise BrokenPipeError(errno.EPIPE, "the connection was taken over")
