"""Launching conmon, the small supervisor that outlives us: it calls the OCI runtime, keeps the log and the exit code.

The protocol is conmon's (2.1, api version 1): a byte on the start pipe lets it go on, one JSON line on the sync pipe
answers: ``{"data": PID}`` or ``{"data": -1, "message": …}``.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from reconciler import failpoints
from reconciler.drivers import commands
from reconciler.drivers.exec import pids, rundir
from reconciler.errors import Permanent, Temporary

#: a create that takes longer has gone wrong: it is undone and may be tried again
CREATE_TIMEOUT = 60.0
#: conmon's first process only forks and writes a pid file (measured: 3 ms)
FORK_TIMEOUT = 20.0
_MESSAGE_LIMIT = 1 << 16
#: all that conmon and the runtime get of our environment; nothing of ours such as NOTIFY_SOCKET may leak into them
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class _Reply(msgspec.Struct, frozen=True):
    data: int
    message: str = ""


class Log(NamedTuple):
    """``cap``: bytes after which conmon changes files by itself."""

    path: str
    cap: int


_LOG_DRIVER = "k8s-file:"


def log_path(command_line: Sequence[bytes]) -> str | None:
    """The log that a conmon with this command line writes."""
    driver = _LOG_DRIVER.encode()
    for flag, value in itertools.pairwise(command_line):
        if flag == b"-l" and value.startswith(driver):
            return os.fsdecode(value.removeprefix(driver))
    return None


def arguments(
    conmon: str, runtime: Sequence[str], run: rundir.Run, log: Log, *, systemd: bool, runtime_known: bool
) -> list[str]:
    """conmon's command line. ``runtime`` is the runtime's path and the flags that come before its command."""
    bundle = str(run.bundle)
    flags = list(runtime[1:])
    if runtime_known:
        flags += [f"--log={bundle}/{rundir.RUNTIME_LOG}", "--log-format=json"]
    return [
        *(conmon, "--api-version", "1", "-c", run.id, "-u", run.id, "-n", run.id),
        *(
            "-r",
            runtime[0],
            "-b",
            bundle,
            "-p",
            f"{bundle}/{rundir.PID_FILE}",
            "-P",
            f"{bundle}/{rundir.CONMON_PID_FILE}",
        ),
        *("--exit-dir", str(run.exit_file.parent), "--persist-dir", bundle, "--full-attach"),
        # the log's last lines need not be on the disk before the exit is known
        *("--no-sync-log", "-l", _LOG_DRIVER + log.path, "--log-size-max", str(log.cap), "--log-level", "warning"),
        *(part for flag in flags for part in ("--runtime-arg", flag)),
        *(("-s",) if systemd else ()),
    ]


def launch(argv: list[str], run: rundir.Run, join: Callable[[int], None]) -> rundir.Record:
    """Starts conmon and waits until the container is created.

    ``join`` moves a pid into conmon's own cgroup. That takes the kernel some milliseconds, so it is done while the
    runtime already works; the container's process gets into a cgroup of its own by the runtime.
    Raises ``Permanent`` with the runtime's words, or ``Temporary`` when the machine lacks something for now.
    """
    sync, sync_child = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    begin, begin_child = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with sync, begin:
        with sync_child, begin_child:
            process = _spawn(argv, run, sync_child.fileno(), begin_child.fileno())
        failpoints.hit("exec.create.spawn.after")
        begin.send(b"\0")
        failpoints.hit("exec.create.begin.after")
        # conmon forks and its first process ends once the pid file is written
        _await_fork(process)
        failpoints.hit("exec.create.fork.after")
        conmon = run.pid(rundir.CONMON_PID_FILE)
        conmon_start = pids.start_time(conmon)
        if conmon_start is not None:
            # gone already when the runtime failed at once
            with contextlib.suppress(ProcessLookupError):
                join(conmon)
        failpoints.hit("exec.create.join.after")
        reply = _reply(sync, run)
    failpoints.hit("exec.create.reply.after")
    pid_start = pids.start_time(reply.data)
    # a process that was killed meanwhile is an ended run, not a failed create
    return rundir.Record(pid=reply.data, pid_start=pid_start or 0, conmon=conmon, conmon_start=conmon_start or 0)


def _spawn(argv: list[str], run: rundir.Run, sync: int, begin: int) -> subprocess.Popen[bytes]:
    environment = {"PATH": _PATH, "_OCI_SYNCPIPE": str(sync), "_OCI_STARTPIPE": str(begin)}
    with contextlib.suppress(KeyError):
        environment["DBUS_SYSTEM_BUS_ADDRESS"] = os.environ["DBUS_SYSTEM_BUS_ADDRESS"]
    try:
        with open(run.bundle / rundir.CONMON_LOG, "wb") as log:
            return commands.start(
                argv,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                pass_fds=(sync, begin),
            )
    except OSError as error:
        raise Temporary(f"cannot start {argv[0]}: {error.strerror}") from error


def _await_fork(process: subprocess.Popen[bytes]) -> None:
    """Waits for conmon's first process. Raises ``Temporary`` when it fails to end: it is killed then."""
    try:
        process.wait(FORK_TIMEOUT)
    except subprocess.TimeoutExpired:
        commands.kill(process)
        raise Temporary(
            f"conmon (process {process.pid}) has not gone to the background within {FORK_TIMEOUT:g} s: it was killed"
        ) from None


def _reply(sync: socket.socket, run: rundir.Run) -> _Reply:
    deadline = time.monotonic() + CREATE_TIMEOUT
    buffer = b""
    while b"\n" not in buffer and len(buffer) < _MESSAGE_LIMIT:
        sync.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            part = sync.recv(_MESSAGE_LIMIT)
        except TimeoutError:
            raise Temporary(f"the OCI runtime has not created the container within {CREATE_TIMEOUT:.0f} s") from None
        if not part:
            break
        buffer += part
    try:
        reply = msgspec.json.decode(buffer, type=_Reply)
    except msgspec.MsgspecError:
        reply = _Reply(data=-1, message=_tail(run.bundle / rundir.CONMON_LOG) or "conmon ended without an answer")
    if reply.data <= 0:
        raise _failure(runtime_words(run) or reply.message.strip())
    return reply


def runtime_words(run: rundir.Run) -> str:
    """The runtime's own account of what went wrong: the last error in its log."""
    words = ""
    for line in _tail(run.bundle / rundir.RUNTIME_LOG).splitlines():
        with contextlib.suppress(msgspec.MsgspecError):
            entry = msgspec.json.decode(line, type=dict[str, object])
            if entry.get("level") == "error":
                words = str(entry.get("msg", "")).strip()
    return words


def _tail(path: Path, size: int = 16384) -> str:
    try:
        return path.read_bytes()[-size:].decode(errors="replace").strip()
    except OSError:
        return ""


#: what the machine may have again in a moment
_PASSING = (
    "resource temporarily unavailable",
    "no space left on device",
    "cannot allocate memory",
    "too many open files",
)


def _failure(message: str) -> Permanent | Temporary:
    lower = message.lower()
    if any(words in lower for words in _PASSING):
        return Temporary(message, delay=2.0)
    return Permanent(message)
