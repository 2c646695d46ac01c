"""A command at a terminal of its own, with somebody who answers what it asks."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import subprocess
import termios
import time
from collections.abc import Sequence
from typing import NamedTuple


class Talk(NamedTuple):
    """``text`` is what the terminal showed: output, questions and what was echoed."""

    status: int
    text: str


def talk(command: Sequence[str], answers: Sequence[tuple[str, str]], patience: float = 60.0) -> Talk:
    """Runs ``command``; each of ``answers`` is the end of a question and what is typed then, in order."""
    here, there = os.openpty()
    try:
        process = subprocess.Popen(
            command, stdin=there, stdout=there, stderr=there, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(there)
        try:
            text = _conversation(here, list(answers), time.monotonic() + patience)
            return Talk(process.wait(patience), text)
        finally:
            process.kill()
            process.wait()
    finally:
        os.close(here)


def _conversation(terminal: int, answers: list[tuple[str, str]], until: float) -> str:
    shown, heard = "", 0
    while True:
        assert select.select([terminal], [], [], max(0.0, until - time.monotonic()))[0], f"nothing comes after: {shown}"
        piece = b""
        with contextlib.suppress(OSError):  # EIO: the last who had it open is gone
            piece = os.read(terminal, 65536)
        if not piece:
            assert not answers, f"{answers[0][0]!r} was not asked: {shown}"
            return shown
        shown += piece.decode(errors="replace").replace("\r\n", "\n")
        if answers and shown[heard:].endswith(answers[0][0]) and _listening(terminal, answers[0][0]):
            heard = len(shown)
            os.write(terminal, f"{answers.pop(0)[1]}\n".encode())


def _listening(terminal: int, question: str) -> bool:
    """What is typed at a question for a password must not be echoed."""
    echo = termios.tcgetattr(terminal)[3] & termios.ECHO
    assert not ("Password" in question and echo), "the password would be shown"
    return True
