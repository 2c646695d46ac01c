"""Helpers that unpack layers, forked from a process that has them imported: starting an interpreter for each takes
longer than most layers of the tests.

``python -m reconciler.testing.forked_helpers SOCKET`` is that process. It has one thread, so that no child begins with
a lock that another thread held.
"""

from __future__ import annotations

import atexit
import fcntl
import functools
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from typing import IO, Any

from reconciler import helper
from reconciler.testing import forking

_LARGEST = 1 << 16


class _Helper(subprocess.Popen[bytes]):
    """A child of the forking process, used like a ``subprocess.Popen``."""

    def __init__(self, source: _Source, pid: int, args: list[str], stdout: IO[bytes]) -> None:
        self.pid, self.args, self.stdout = pid, args, stdout
        self.stdin = self.stderr = None
        self.returncode: int | None = None
        self._source = source
        # the forking process keeps it as a zombie until it is asked how it ended
        self._pidfd = os.pidfd_open(pid)

    def __del__(self) -> None:
        """Nothing of ``Popen``'s: the child is not ours."""

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            _await(self._pidfd, timeout)
            self.returncode = self._source.ask({"reap": self.pid})
            os.close(self._pidfd)
        return self.returncode

    def kill(self) -> None:
        if self.returncode is None:
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)


def _await(pidfd: int, timeout: float | None) -> None:
    ended = select.poll()
    ended.register(pidfd, select.POLLIN)
    if not ended.poll(None if timeout is None else timeout * 1000):
        raise subprocess.TimeoutExpired("helper", timeout or 0.0)


class _Source:
    """The forking process; it ends with this one."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        with theirs:
            command = [sys.executable, "-m", "reconciler.testing.forked_helpers", str(theirs.fileno()), " " * 1000]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        self.pid = self._process.pid
        atexit.register(self.close)

    def close(self) -> None:
        self._socket.close()
        self._process.wait(30)

    def ask(self, request: dict[str, Any], fds: tuple[int, ...] = ()) -> int:
        with self._lock:
            socket.send_fds(self._socket, [json.dumps(request).encode()], list(fds))
            answer = self._socket.recv(64)
        assert answer, "the process that forks helpers has ended"
        return int(answer)


@functools.cache
def _source(pid: int) -> _Source:
    """The one of this process: a forked copy of it needs its own, which ends when that copy does."""
    assert pid == os.getpid()
    return _Source()


def start(name: str, request: dict[str, Any], blob: int) -> subprocess.Popen[bytes]:
    """Stands in for ``helper_process._start``. In everything but its start it is the helper."""
    question = os.memfd_create("request", os.MFD_CLOEXEC)
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        source, command = _source(os.getpid()), helper.command(name)
        # it dies with the process that forks it, and that one with this
        os.write(question, json.dumps({**request, "parent": source.pid}).encode())
        os.lseek(question, 0, os.SEEK_SET)
        pid = source.ask({"command": command, "blob": blob}, (question, writer, blob))
    except BaseException:
        os.close(reader)
        raise
    finally:
        os.close(question)
        os.close(writer)
    return _Helper(source, pid, command, os.fdopen(reader, "rb", buffering=0))


# the forking process's end


class _Child(BaseException):
    """Leaves the loop in a new child, with the command that it is to run."""

    def __init__(self, command: list[str]) -> None:
        self.command = command


def _become(request: dict[str, Any], fds: list[int]) -> None:
    """Standard descriptors and the blob under its number, and no others."""
    # out of the way of the numbers that they are to have
    question, writer, blob = (fcntl.fcntl(fd, fcntl.F_DUPFD, 500) for fd in fds)
    for number, fd in ((0, question), (1, writer), (2, writer), (request["blob"], blob)):
        os.dup2(fd, number)
    forking.close_others({request["blob"]})
    os.chdir("/")
    forking.become(request["command"], {})


def _serve(control: socket.socket) -> None:
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
                _become(request, fds)
                raise _Child(request["command"])
        for fd in fds:
            os.close(fd)
        control.send(str(answer).encode())


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=int(sys.argv[1]))
    for module in helper.HELPERS.values():
        importlib.import_module(module)
    try:
        _serve(control)
        return
    except _Child as child:
        command = child.command
        control.detach()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(fd, "r" if fd == 0 else "w", closefd=False) for fd in range(3))
    raise SystemExit(helper.main(command[command.index("reconciler.helper") + 1 :]))


if __name__ == "__main__":
    main()
