"""Helpers that unpack layers, forked from a process that has them imported: starting an interpreter for each takes
longer than most layers of the tests."""

from __future__ import annotations

import atexit
import fcntl
import functools
import importlib
import json
import os
import subprocess
import sys
from typing import Any, cast

from reconciler import helper
from reconciler.testing import forking, zygote


@functools.cache
def _zygote(pid: int) -> zygote.Zygote:
    """The one of this process: a forked copy of it needs its own, which ends when that copy does."""
    assert pid == os.getpid()
    made = zygote.Zygote("reconciler.testing.forked_helpers")
    atexit.register(made.close)
    return made


def start(name: str, request: dict[str, Any], blob: int) -> subprocess.Popen[bytes]:
    """Stands in for ``helper_process._start``. In everything but its start it is the helper."""
    question = os.memfd_create("request", os.MFD_CLOEXEC)
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        source, command = _zygote(os.getpid()), helper.command(name)
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
    return cast("subprocess.Popen[bytes]", zygote.Born(source, pid, command, os.fdopen(reader, "rb", buffering=0)))


def _become(request: dict[str, Any], fds: list[int]) -> None:
    """Standard descriptors and the blob under its number, and no others."""
    # out of the way of the numbers that they are to have
    question, writer, blob = (fcntl.fcntl(fd, fcntl.F_DUPFD, 500) for fd in fds)
    for number, fd in ((0, question), (1, writer), (2, writer), (request["blob"], blob)):
        os.dup2(fd, number)
    forking.close_others({request["blob"]})
    os.chdir("/")
    forking.become(request["command"], {})


def main() -> None:
    control = zygote.control()
    for module in helper.HELPERS.values():
        importlib.import_module(module)
    try:
        zygote.serve(control, _become)
        return
    except zygote.Child as child:
        command: list[str] = child.request["command"]
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(fd, "r" if fd == 0 else "w", closefd=False) for fd in range(3))
    raise SystemExit(helper.main(command[command.index("reconciler.helper") + 1 :]))


if __name__ == "__main__":
    main()
