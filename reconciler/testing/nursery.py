"""Processes that have everything imported when they begin: for tests in which daemons start some hundred times.

``python -m reconciler.testing.nursery SOCKET`` imports what a daemon needs, its API process and the client command too,
and forks a child for each request. The child runs the entry point of ``pydockd`` or ``pydock`` with a command line, an
environment and descriptors of its own, as the installed command would, and so does the API process that the daemon
makes. All that is spared is the start of an interpreter and its imports: two thirds of the time that a start takes.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import logging
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import reconciler
from reconciler import failpoints, manifest, store
from reconciler.bootstrap import api as api_process
from reconciler.bootstrap import daemon
from reconciler.testing import forking

#: room for the command lines of children, which are written over ours
_ROOM = 4000
#: what only a new program would heed
_NEEDS_EXEC = ("LD_", "PYTHON", "MALLOC_")
_LARGEST = 1 << 18
#: what is no module to import by itself, or none of the product
_NOT_AHEAD = ("reconciler.testing", "reconciler.wsgi", "reconciler.store.migrations.")


class Born:
    """A child of the nursery, used like a ``subprocess.Popen``."""

    def __init__(self, nursery: Nursery, pid: int, args: Sequence[str]) -> None:
        self.pid, self.args = pid, list(args)
        self.returncode: int | None = None
        self._nursery = nursery
        # the nursery keeps it as a zombie until we ask how it ended
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
            self.returncode = self._nursery.reap(self.pid)
            os.close(self._pidfd)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            signal.pidfd_send_signal(self._pidfd, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Nursery:
    """The tests' end. ``close`` ends the nursery; its children go on."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LARGEST)
        self._lock = threading.Lock()
        with theirs:
            command = [sys.executable, "-m", "reconciler.testing.nursery", str(theirs.fileno()), " " * _ROOM]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)

    def start(self, command: Sequence[str], env: Mapping[str, str], fds: Sequence[int]) -> Born:
        """Runs ``command``, a path that ends in ``pydockd`` or ``pydock`` and its arguments; ``fds`` are its standard
        input, output and error."""
        return Born(self, self._ask({"command": list(command), "env": dict(env), "cwd": str(Path.cwd())}, fds), command)

    def run(self, command: Sequence[str], env: Mapping[str, str], input: str = "") -> subprocess.CompletedProcess[str]:
        """Runs it to its end; what it wrote."""
        with contextlib.ExitStack() as opened:
            files = [opened.enter_context(tempfile.TemporaryFile()) for _ in range(3)]
            files[0].write(input.encode())
            files[0].seek(0)
            status = self.start(command, env, [file.fileno() for file in files]).wait(120)
            written = []
            for file in files[1:]:
                file.seek(0)
                written.append(file.read().decode())
        return subprocess.CompletedProcess(list(command), status, *written)

    def reap(self, pid: int) -> int:
        return self._ask({"reap": pid})

    def _ask(self, request: dict[str, Any], fds: Sequence[int] = ()) -> int:
        with self._lock:
            socket.send_fds(self._socket, [json.dumps(request).encode()], list(fds))
            answer = self._socket.recv(64)
        assert answer, "the nursery has ended"
        return int(answer)

    def close(self) -> None:
        self._socket.close()
        self._process.wait(30)


def can_run(env: Mapping[str, str]) -> bool:
    """Whether a process forked from us heeds what ``env`` says beyond our own environment."""
    return not any(name.startswith(_NEEDS_EXEC) for name in env)


# the nursery's end


class _Child(BaseException):
    """Leaves the nursery's loop in a new child, with the command that it is to run."""

    def __init__(self, command: list[str]) -> None:
        self.command = command


def _serve_api(command: list[str]) -> None:
    from reconciler.bootstrap import serve

    logging.root.handlers.clear()
    serve.main(command[command.index("reconciler.wsgi") + 1 :])


def _popen(arguments: list[str], fds: Sequence[int]) -> subprocess.Popen[bytes]:
    """The first API process is forked; one that takes its place, when this process has many threads, is started."""
    if threading.active_count() > 2:
        return _start_api(arguments, fds)
    return forking.Forked(
        _serve_api,
        arguments,
        stdin=subprocess.DEVNULL,
        env=api_process.environment(),
        pass_fds=fds,
        start_new_session=True,
        cwd="/",
    )


_start_api = api_process._popen


def preload() -> None:
    """Everything of the product, and what it imports late."""
    for module in pkgutil.walk_packages(reconciler.__path__, "reconciler."):
        if not module.name.startswith(_NOT_AHEAD):
            importlib.import_module(module.name)
    manifest.prepare()
    with tempfile.TemporaryDirectory() as directory:
        store.open_store(Path(directory) / "state.db").close()
    gc.collect()
    gc.freeze()


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
                control.close()
                for number, fd in enumerate(fds):
                    os.dup2(fd, number)
                    os.close(fd)
                os.chdir(request["cwd"])
                forking.become(request["command"], request["env"])
                raise _Child(request["command"])
        for fd in fds:
            os.close(fd)
        control.send(str(answer).encode())


def main() -> None:
    # a terminal's Ctrl-C is for pytest
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=int(sys.argv[1]))
    control.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _LARGEST)
    preload()
    try:
        _serve(control)
        return
    except _Child as child:
        command = child.command
    signal.signal(signal.SIGINT, signal.default_int_handler)
    importlib.reload(failpoints)
    if Path(command[0]).name == "pydock":
        from reconciler.cli import main as client

        client.main()
    api_process._popen = _popen
    raise SystemExit(daemon.main(command[1:]))


if __name__ == "__main__":
    main()
