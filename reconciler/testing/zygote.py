"""A process of one thread that has everything imported and forks a child for each request, so that no child begins with
a lock that another thread held.

``Zygote`` is the tests' end. The other end is a module that is run with the number of its socket: it imports what its
children need, calls ``serve``, and lets ``Child`` lead a new child out of that loop.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import IO, Any

#: room for the command lines of children, which are written over the zygote's
_ROOM = 4000
_LARGEST = 1 << 18


class Born:
    """A child, used like a ``subprocess.Popen``; ``stdout`` is what its maker reads of it, if anything."""

    def __init__(self, zygote: Zygote, pid: int, args: Sequence[str], stdout: IO[bytes] | None = None) -> None:
        self.pid, self.args, self.stdout = pid, list(args), stdout
        self.returncode: int | None = None
        self._zygote = zygote
        # the zygote keeps it as a zombie until we ask how it ended
        self._pidfd = os.pidfd_open(pid)

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status, or minus the signal that ended it. Raises ``subprocess.TimeoutExpired``."""
        if self.returncode is None:
            ended = select.poll()
            ended.register(self._pidfd, select.POLLIN)
            if not ended.poll(None if timeout is None else timeout * 1000):
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            self.returncode = self._zygote.ask({"reap": self.pid})
            os.close(self._pidfd)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            signal.pidfd_send_signal(self._pidfd, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Zygote:
    """Runs ``module``. ``close`` ends it; its children go on, unless they die with it by their own will."""

    def __init__(self, module: str) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LARGEST)
        self._lock = threading.Lock()
        with theirs:
            command = [sys.executable, "-m", module, str(theirs.fileno()), " " * _ROOM]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        self.pid = self._process.pid

    def ask(self, request: dict[str, Any], fds: Sequence[int] = ()) -> int:
        """The pid of a new child, or how one ended."""
        with self._lock:
            socket.send_fds(self._socket, [json.dumps(request).encode()], list(fds))
            answer = self._socket.recv(64)
        assert answer, "the zygote has ended"
        return int(answer)

    def close(self) -> None:
        self._socket.close()
        self._process.wait(30)


# the zygote's end


class Child(BaseException):
    """Leaves the zygote's loop in a new child, with what was asked."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.request = request


def control() -> socket.socket:
    """The zygote's socket. A terminal's Ctrl-C is for pytest."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    found = socket.socket(fileno=int(sys.argv[1]))
    found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _LARGEST)
    return found


def serve(control: socket.socket, become: Callable[[dict[str, Any], list[int]], None]) -> None:
    """Answers until the other end is closed. A child takes its descriptors and its name by ``become``, and raises
    ``Child``."""
    while True:
        data, fds, _, _ = socket.recv_fds(control, _LARGEST, 3)
        if not data:
            return
        request = json.loads(data)
        if "reap" in request:
            answer = os.waitstatus_to_exitcode(os.waitpid(request["reap"], 0)[1])
        else:
            answer = os.fork()
            if not answer:
                control.close()
                signal.signal(signal.SIGINT, signal.default_int_handler)
                become(request, fds)
                raise Child(request)
        for fd in fds:
            os.close(fd)
        control.send(str(answer).encode())
