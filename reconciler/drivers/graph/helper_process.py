"""Running a confined helper to its end, watched from outside.

A helper may have been taken over by what it reads, or hang with the disk that it works on, so nothing here waits for
it without an end, and none of its words is needed to tell how it goes on. What is looked at: its processor time, how
far it has read the blob (parent and helper share the file's offset), and the file system that it fills.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from reconciler import errors, helper

_ANSWER = 64 << 20
_PIECE = 1 << 20
#: seconds between two looks
_LOOK = 0.5
#: seconds that a killed process is waited for: one that waits for a disk ends when the disk answers
_END = 10.0
_TICKS = os.sysconf("SC_CLK_TCK")
#: what the watch tells apart of the file system that is filled: free bytes, free inodes
Account = Callable[[], tuple[int, ...]]


class Patience(NamedTuple):
    """Seconds. ``quiet``: without processor time. ``busy``: processor time without reading or filling anything; one
    piece that was read can unpack to many gigabytes of zeros."""

    quiet: float = 60.0
    busy: float = 600.0


class Stopped(Exception):
    """A helper that was ended from here, with the reason. ``retry``: the host may be at fault."""

    def __init__(self, reason: str, *, retry: bool) -> None:
        super().__init__(reason)
        self.retry = retry


class Progress:
    """Looks at a process. ``account`` raises ``Stopped`` if it fills more than it may."""

    def __init__(self, pid: int, blob: int, account: Account, patience: Patience) -> None:
        self._pid, self._blob, self._account, self._patience = pid, blob, account, patience
        #: processor time and place in the blob, and since when they are what they are
        self._work, self._since = (0.0, 0), time.monotonic()
        #: place in the blob and what is free, and the processor time at which they came to be so
        self._effect: tuple[int, ...] = ()
        self._at_effect = 0.0

    def look(self) -> None:
        """Raises ``Stopped`` for a process that does not go on. What is free changes with what others do too, so that
        it tells nothing of one that does nothing."""
        now, processor = time.monotonic(), processor_time(self._pid)
        place = os.lseek(self._blob, 0, os.SEEK_CUR)
        effect = (place, *self._account())
        if effect != self._effect:
            self._effect, self._at_effect = effect, processor
        if (processor, place) != self._work:
            self._work, self._since = (processor, place), now
        if now - self._since > self._patience.quiet:
            raise Stopped(
                f"the helper did nothing for {self._patience.quiet:g} seconds: the disk does not answer, "
                "or somebody has stopped the process",
                retry=True,
            )
        if processor - self._at_effect > self._patience.busy:
            raise Stopped(
                f"the helper used {self._patience.busy:g} seconds of processor time to no effect", retry=False
            )


def processor_time(pid: int) -> float:
    """Seconds that all threads of a process have used; 0 for one that is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def ask(name: str, request: dict[str, Any], blob: int, account: Account, patience: Patience) -> dict[str, Any]:
    """Runs the helper ``name``, which inherits ``blob``, to its end; its words if it has no answer.

    Raises ``Temporary`` for one that does nothing, ``Permanent`` for one that works without end or that fills more than
    it may."""
    process = _start(name, request, blob)
    assert process.stdout is not None
    progress = Progress(process.pid, blob, account, patience)
    try:
        output = _read(process.stdout.fileno(), progress)
        if len(output) < _ANSWER:
            _await(process, progress)
        account()
    except Stopped as stopped:
        kind = errors.Temporary if stopped.retry else errors.Permanent
        raise kind(str(stopped)) from None
    finally:
        _end(process)
    return _answer(output, process.returncode)


def _start(name: str, request: dict[str, Any], blob: int) -> subprocess.Popen[bytes]:
    """The request is a file, so that handing it over waits for nobody."""
    question = os.memfd_create("request", os.MFD_CLOEXEC)
    try:
        with open(question, "wb", closefd=False) as file:
            file.write(json.dumps(request).encode())
        os.lseek(question, 0, os.SEEK_SET)
        return subprocess.Popen(
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


def _read(pipe: int, progress: Progress) -> bytes:
    """All that comes, up to the size of an answer."""
    output = bytearray()
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    while len(output) < _ANSWER:
        if not poll.poll(_LOOK * 1000):
            progress.look()
            continue
        piece = os.read(pipe, _PIECE)
        if not piece:
            break
        output += piece
    return bytes(output)


def _await(process: subprocess.Popen[bytes], progress: Progress) -> None:
    """It has said all; it may still be there."""
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_LOOK)
            return
        progress.look()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends it however it is. One that waits for a disk is left to the kernel: it has been killed."""
    process.kill()
    if process.stdout is not None:
        process.stdout.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_END)


def _answer(output: bytes, status: int | None) -> dict[str, Any]:
    if status == -signal.SIGXCPU:
        return {"error": "it takes more processor time than its quota of bytes and files can need", "retry": False}
    try:
        answer = json.loads(output)
    except ValueError:
        last = output[-300:].decode(errors="replace").strip().rpartition("\n")[2]
        return {"error": f"the helper ended with status {status}: {last or 'no word'}", "retry": (status or 0) < 0}
    return answer if isinstance(answer, dict) else {"error": "the helper's answer makes no sense", "retry": False}
