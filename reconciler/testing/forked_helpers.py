"""Helpers that unpack layers, forked from this process: starting an interpreter for each takes longer than most layers
of the tests."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
from typing import Any

from reconciler import helper
from reconciler.testing.forking import Forked

_MODULES = {name: importlib.import_module(module) for name, module in helper.HELPERS.items()}


def start(name: str, request: dict[str, Any], blob: int) -> subprocess.Popen[bytes]:
    """Stands in for ``helper_process._start``. In everything but its start it is the helper."""
    assert _MODULES.keys() >= {name}
    question = os.memfd_create("request", os.MFD_CLOEXEC)
    try:
        os.write(question, json.dumps(request).encode())
        os.lseek(question, 0, os.SEEK_SET)
        return Forked(
            lambda command: helper.main(command[command.index("reconciler.helper") + 1 :]),
            helper.command(name),
            stdin=question,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(blob,),
            cwd="/",
            env={},
        )
    finally:
        os.close(question)
