"""What ends the daemon and what does not, in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

PROGRAM = """
import sys
from reconciler.control import life
life.block_signals()
print("waiting", flush=True)
print("ended by", life.wait_for_end(lambda: print("reloaded", flush=True), sys.argv[1] == "debug"), flush=True)
"""


@pytest.fixture
def start() -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    made: list[subprocess.Popen[str]] = []

    def run(mode: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, mode], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        made.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        return process

    yield run
    for process in made:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends(start: Callable[[str], subprocess.Popen[str]], number: signal.Signals) -> None:
    process = start("")
    process.send_signal(number)
    assert process.communicate(timeout=10)[0] == f"ended by {int(number)}\n"


def test_hup_reloads_and_quit_is_ignored(start: Callable[[str], subprocess.Popen[str]]) -> None:
    process = start("")
    assert process.stdout is not None
    process.send_signal(signal.SIGQUIT)
    for _ in range(3):
        process.send_signal(signal.SIGHUP)
        assert process.stdout.readline() == "reloaded\n"
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=10)
    assert (out, err) == (f"ended by {int(signal.SIGTERM)}\n", "")


def test_quit_shows_the_stacks_under_debug(start: Callable[[str], subprocess.Popen[str]]) -> None:
    process = start("debug")
    assert process.stderr is not None
    process.send_signal(signal.SIGQUIT)
    assert "most recent call first" in process.stderr.readline()
    os.kill(process.pid, signal.SIGTERM)
    assert process.communicate(timeout=10)[0] == f"ended by {int(signal.SIGTERM)}\n"
