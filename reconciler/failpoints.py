"""Points at which a test may kill the daemon: before and after every side effect.

``PYDOCK_FAILPOINT=NAME`` kills this process with SIGKILL when it reaches NAME (``NAME:3``: for the third time);
``PYDOCK_FAILPOINT=@FILE`` reads the name from FILE at each point, so that a running daemon can be armed (without the
file it is not). ``PYDOCK_FAILPOINT_RECORD=FILE`` appends each name that is reached to FILE, so that a test can learn
all of them. Without either, a point costs one comparison.
"""

from __future__ import annotations

import os
import signal

_target, _, _count = os.environ.get("PYDOCK_FAILPOINT", "").partition(":")
_record = os.environ.get("PYDOCK_FAILPOINT_RECORD", "")
_active = bool(_target or _record)
_left = int(_count or "1")


def hit(name: str) -> None:
    """Marks the point ``name``, such as ``create.lease.before``."""
    if _active:
        _hit(name)


def _hit(name: str) -> None:
    global _left
    if _record:
        fd = os.open(_record, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, f"{name}\n".encode())
        finally:
            os.close(fd)
    if name == _wanted():
        _left -= 1
        if _left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


def _wanted() -> str:
    if not _target.startswith("@"):
        return _target
    try:
        with open(_target[1:], encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""
