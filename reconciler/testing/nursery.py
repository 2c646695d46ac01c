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
import logging
import os
import pkgutil
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import reconciler
from reconciler import failpoints, manifest, store
from reconciler.bootstrap import api as api_process
from reconciler.bootstrap import daemon
from reconciler.testing import forking, zygote
from reconciler.testing.zygote import Born, Zygote

#: what only a new program would heed
_NEEDS_EXEC = ("LD_", "PYTHON", "MALLOC_")
#: what is no module to import by itself, or none of the product
_NOT_AHEAD = ("reconciler.testing", "reconciler.wsgi", "reconciler.store.migrations.")


class Nursery(Zygote):
    """The tests' end. ``close`` ends the nursery; its children go on."""

    def __init__(self) -> None:
        super().__init__("reconciler.testing.nursery")

    def start(self, command: Sequence[str], env: Mapping[str, str], fds: Sequence[int]) -> Born:
        """Runs ``command``, a path that ends in ``pydockd`` or ``pydock`` and its arguments; ``fds`` are its standard
        input, output and error."""
        return Born(self, self.ask({"command": list(command), "env": dict(env), "cwd": str(Path.cwd())}, fds), command)

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


def can_run(env: Mapping[str, str]) -> bool:
    """Whether a process forked from us heeds what ``env`` says beyond our own environment."""
    return not any(name.startswith(_NEEDS_EXEC) for name in env)


# the nursery's end


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


def _become(request: dict[str, Any], fds: list[int]) -> None:
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
        os.close(fd)
    os.chdir(request["cwd"])
    forking.become(request["command"], request["env"])


def main() -> None:
    control = zygote.control()
    preload()
    try:
        zygote.serve(control, _become)
        return
    except zygote.Child as child:
        command: list[str] = child.request["command"]
    importlib.reload(failpoints)
    if Path(command[0]).name == "pydock":
        from reconciler.cli import main as client

        client.main()
    api_process._popen = _popen
    raise SystemExit(daemon.main(command[1:]))


if __name__ == "__main__":
    main()
