"""Processes that are forked from this one instead of being started anew: what is imported here is imported there."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

#: runs a command line; its exit status, if it returns
Main = Callable[[list[str]], object]


class Forked(subprocess.Popen[bytes]):
    """As ``subprocess.Popen``, but the child runs ``main(args)`` in a copy of this process: with the descriptors, the
    environment, the directory and the session that the options say, and with the command line ``args`` where there
    is room for it.

    Of other threads' locks that are held at that moment the child has a copy that nobody ever opens: ``main`` must not
    need them."""

    def __init__(self, main: Main, args: list[str], **options: Any) -> None:
        self._main = main
        super().__init__(args, **options)

    def _execute_child(
        self, args: list[str], executable: Any, preexec_fn: Any, close_fds: bool, pass_fds: Sequence[int],
        cwd: str | None, env: Mapping[str, str] | None, *rest: Any,
    ) -> None:  # fmt: skip
        # as subprocess hands it on: after three options for other systems both ends of each pipe, and six options more
        pipes, new_session = rest[3:9], rest[14]
        self.pid = os.fork()
        if not self.pid:
            for number, fd in enumerate((pipes[0], pipes[3], pipes[5])):
                if fd not in (-1, number):
                    os.dup2(fd, number)
            _run(self._main, args, set(pass_fds), env, cwd, new_session=new_session)
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]  # of subprocess itself


def _run(
    main: Main, args: list[str], keep: set[int], env: Mapping[str, str] | None, cwd: str | None, *, new_session: bool
) -> NoReturn:
    status = 1
    try:
        if new_session:
            os.setsid()
        if cwd is not None:
            os.chdir(cwd)
        become(args, os.environ.copy() if env is None else env)
        close_others(keep)
        sys.stdin, sys.stdout, sys.stderr = (os.fdopen(fd, "r" if fd == 0 else "w", closefd=False) for fd in range(3))
        found = main(args)
        status = found if isinstance(found, int) else 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - told as the interpreter would
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def close_others(keep: set[int]) -> None:
    """Closes all descriptors but the standard ones and ``keep``."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in keep:
            with contextlib.suppress(OSError):
                os.close(int(name))


def become(command: Sequence[str], env: Mapping[str, str]) -> None:
    """Has the command line and the environment of a program of its own."""
    os.environ.clear()
    os.environ.update(env)
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    # arg_start and arg_end of proc(5), the 48th and 49th field
    begin, end = int(fields[45]), int(fields[46])
    line = b"".join(os.fsencode(word) + b"\0" for word in command)[: end - begin]
    ctypes.memmove(begin, line.ljust(end - begin, b"\0"), end - begin)
    sys.argv = list(command)
