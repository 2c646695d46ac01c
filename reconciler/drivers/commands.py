"""Running a command that must not be waited for without end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any


def start(argv: Sequence[str], **how: Any) -> subprocess.Popen[bytes]:
    """``Popen`` in a session of its own, so that ``kill`` reaches what the command has started too. Raises
    ``OSError``."""
    return subprocess.Popen(argv, cwd="/", start_new_session=True, **how)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kills a process that ``start`` made, with those of its group, and reaps it."""
    # not yet waited for, so its number, which is that of the group, cannot mean another
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def run(
    argv: Sequence[str], timeout: float, text: str = "", env: Mapping[str, str] | None = None
) -> tuple[int, str, str]:
    """Status, output and errors of a command that is given ``text``. Raises ``TimeoutError`` once it was killed after
    ``timeout`` seconds, and ``OSError`` when it cannot be started."""
    pipe = subprocess.PIPE
    process = start(argv, env=env, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        output, words = process.communicate(text.encode(), timeout)
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"{argv[0]} has not ended within {timeout:g} s: it was killed") from None
    finally:
        if process.returncode is None:
            kill(process)
        for end in (process.stdin, process.stdout, process.stderr):
            if end is not None:
                with contextlib.suppress(OSError):
                    end.close()
    return process.returncode, output.decode(errors="replace"), words.decode(errors="replace")
