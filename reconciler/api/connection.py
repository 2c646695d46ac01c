"""The client's connection: whose request it is, and how it is watched and taken over."""

from __future__ import annotations

from typing import Any

#: where the worker puts the client's socket
_SOCKET = "gunicorn.socket"


def client(environ: dict[str, Any]) -> int:
    """The descriptor of the client's socket; it stays the worker's. -1 when there is none: a rehearsal, or a test."""
    sock = environ.get(_SOCKET)
    return -1 if sock is None else int(sock.fileno())
