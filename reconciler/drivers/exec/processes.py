"""What is true of a run, read from its files and the kernel; and ending what is left of one."""

from __future__ import annotations

import itertools
import os
import select
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from reconciler import failpoints
from reconciler.drivers.exec import base, cgroups, conmon, groups, pids, rundir, runtime
from reconciler.errors import Permanent, Temporary

#: a signal's number is added to this in an exit code
_SIGNALLED = 128
_LAST_SIGNAL = 64
#: the process is gone and conmon lives: its exit file is due (measured: within 15 ms)
EXIT_FILE_TIMEOUT = 1.0
#: conmon ends by itself after its container; then it has written the last of the log
_CONMON_TIMEOUT = 1.0
_REMOVE_TIMEOUT = 10.0
_RELEASE_TIMEOUT = 10.0
_FIFO = "exec.fifo"


def inspect(run: rundir.Run, where: groups.Groups, tool: runtime.Runtime) -> base.ProcessFacts:
    """As ``ExecDriver.inspect``."""
    found = record(run, where)
    ended = run.exit()
    if ended is None and found is not None:
        if pids.alive(found.pid, found.pid_start):
            return _running(run, found, tool)
        ended = _await_exit(run, found)
    if ended is not None:
        return _exited(run, ended, where)
    if found is None:
        return base.ProcessFacts(status="absent")
    return base.ProcessFacts(
        status="exited",
        exit_reason="unknown",
        started_at=run.started_at() or 0.0,
        finished_at=time.time(),
        supervised=False,
    )


def record(run: rundir.Run, where: groups.Groups) -> rundir.Record | None:
    """The run's processes. Where a create died before it wrote them down they are made out from the pid files, but
    believed only if the process is in the run's cgroup and conmon has the run's bundle on its command line."""
    saved = run.record()
    if saved is not None:
        return saved
    pid, conmon = run.pid(rundir.PID_FILE), run.pid(rundir.CONMON_PID_FILE)
    if not pid:
        return None
    pid_start = pids.start_time(pid) or 0
    if not cgroups.in_group(where.container(run.id), pid):
        pid_start = 0
    conmon_start = pids.start_time(conmon) or 0
    if os.fsencode(run.bundle) not in pids.command_line(conmon):
        conmon_start = 0
    return rundir.Record(pid=pid, pid_start=pid_start, conmon=conmon, conmon_start=conmon_start)


def logs(directory: Path, where: groups.Groups) -> Iterator[tuple[str, str, str]]:
    """Of each run below ``directory`` whose conmon lives: its id, its log, and conmon's control FIFO."""
    for id in rundir.ids(directory):
        run = rundir.Run(directory, id)
        found = record(run, where)
        if found is not None and pids.alive(found.conmon, found.conmon_start):
            path = conmon.log_path(pids.command_line(found.conmon))
            if path is not None:
                yield id, path, str(run.control)


def _running(run: rundir.Run, found: rundir.Record, tool: runtime.Runtime) -> base.ProcessFacts:
    status: base.Status = "created" if _waits(run, found, tool) else "running"
    started = run.started_at() or pids.started_at(found.pid_start)
    return base.ProcessFacts(
        status=status,
        pid=found.pid,
        pid_start=found.pid_start,
        supervised=pids.alive(found.conmon, found.conmon_start),
        started_at=started if status == "running" else 0.0,
    )


def _waits(run: rundir.Run, found: rundir.Record, tool: runtime.Runtime) -> bool:
    """Whether the process still waits for its start."""
    if not tool.known():
        try:
            return '"created"' in runtime.call([*command(tool, run), "state", run.id])
        except Permanent:
            return False
    if not (run.state / _FIFO).exists():
        return False
    # runc's fifo may be left by a start that died after it let the process go
    begun = run.started_at() is not None and tool.kind == "runc"
    return not begun or _is_init(pids.command_line(found.pid), tool)


def _is_init(arguments: tuple[bytes, ...], tool: runtime.Runtime) -> bool:
    """runc's own first process: ``runc init``, or by its path."""
    return arguments[1:] == (b"init",) and arguments[0] in (b"runc", os.fsencode(tool.path))


def _await_exit(run: rundir.Run, found: rundir.Record) -> rundir.Exit | None:
    deadline = time.monotonic() + EXIT_FILE_TIMEOUT
    while time.monotonic() < deadline:
        gone = pids.wait_end(found.conmon, found.conmon_start, 0.001)
        ended = run.exit()
        if ended is not None or gone:
            return ended
    return None


def _exited(run: rundir.Run, ended: rundir.Exit, where: groups.Groups) -> base.ProcessFacts:
    number = ended.code - _SIGNALLED
    by_signal = 0 < number <= _LAST_SIGNAL
    reason: base.ExitReason = "signal" if by_signal else "exited"
    if number == signal.SIGKILL and (run.out_of_memory() or cgroups.oom_kills(where.layout, where.container(run.id))):
        reason = "oom"
    return base.ProcessFacts(
        status="exited",
        started_at=run.started_at() or 0.0,
        finished_at=ended.at,
        exit_code=ended.code,
        exit_reason=reason,
        signal=number if by_signal else 0,
    )


def command(tool: runtime.Runtime, run: rundir.Run) -> list[str]:
    """The runtime with the flags that come before its command."""
    return [tool.path, f"--root={run.state.parent}"]


def release(run: rundir.Run, found: rundir.Record, tool: runtime.Runtime) -> None:
    """Lets a created process go. runc's init waits for somebody to open its fifo, and ``runc start`` does no more
    than that; other runtimes are asked to."""
    if tool.kind != "runc":
        runtime.call([*command(tool, run), "start", run.id])
        return
    fifo = run.state / _FIFO
    try:
        fd = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        _await_opened(fd, found, tool)
        failpoints.hit("exec.start.release.after")
        fifo.unlink(missing_ok=True)
        failpoints.hit("exec.start.fifo.after")
    finally:
        os.close(fd)


def _await_opened(fifo: int, found: rundir.Record, tool: runtime.Runtime) -> None:
    """Waits until runc's init has come through its fifo: now, or by a start that was cut off, or never (it ended)."""
    poller = select.poll()
    poller.register(fifo, select.POLLIN)
    deadline = time.monotonic() + _RELEASE_TIMEOUT
    while not poller.poll(20):
        if not pids.alive(found.pid, found.pid_start) or not _is_init(pids.command_line(found.pid), tool):
            return
        if time.monotonic() > deadline:
            raise Temporary(f"the created process {found.pid} does not let itself be started")


def clear(run: rundir.Run, where: groups.Groups, tool: runtime.Runtime | None) -> None:
    """Ends and removes all of a run, from any half-way state. ``tool`` None: no runtime works here any more; what
    can be done without one is done. Raises ``Temporary`` when a process cannot be ended yet."""
    found = record(run, where)
    if found is not None:
        pids.send(found.pid, found.pid_start, signal.SIGKILL)
    cgroups.kill_all(where.layout, where.container(run.id))
    failpoints.hit("exec.clear.kill.after")
    if run.record() is None and run.exists():
        _kill_strays(run)
    if found is not None and not pids.wait_end(found.conmon, found.conmon_start, _CONMON_TIMEOUT):
        pids.send(found.conmon, found.conmon_start, signal.SIGKILL)
    failpoints.hit("exec.clear.conmon.after")
    if tool is not None and run.state.exists() and not (tool.known() and not where.systemd):
        _delete_by_runtime(run, tool)
    for group in (where.container(run.id), where.conmon(run.id)):
        if not cgroups.remove(where.layout, group, _REMOVE_TIMEOUT):
            raise Temporary(f"processes of {run.id} have not ended yet (cgroup {group})", delay=5.0)
        failpoints.hit("exec.clear.group.after")
    failpoints.hit("exec.clear.cgroup.after")
    run.remove()
    failpoints.hit("exec.clear.files.after")


def _delete_by_runtime(run: rundir.Run, tool: runtime.Runtime) -> None:
    try:
        runtime.call([*command(tool, run), "delete", "--force", run.id])
    except Permanent:
        # half-made state that it does not understand goes with the files
        return


def _kill_strays(run: rundir.Run) -> None:
    """Kills conmon and runtime of a create that was cut off: nobody wrote down their pids, but their command lines
    name the run's bundle. Looks until there are none, for one may fork while it is looked for."""
    deadline = time.monotonic() + _REMOVE_TIMEOUT
    while strays := list(_strays(os.fsencode(run.bundle))):
        for pid, pid_start in strays:
            pids.send(pid, pid_start, signal.SIGKILL)
        for pid, pid_start in strays:
            if not pids.wait_end(pid, pid_start, deadline - time.monotonic()):
                raise Temporary(f"process {pid}, left by a create of {run.id}, does not end", delay=5.0)


def _strays(bundle: bytes) -> Iterator[tuple[int, int]]:
    for name in filter(str.isdigit, os.listdir("/proc")):
        pid_start = pids.start_time(int(name))
        if pid_start is not None and _works_on(pids.command_line(int(name)), bundle):
            yield int(name), pid_start


def _works_on(arguments: tuple[bytes, ...], bundle: bytes) -> bool:
    """conmon says ``-b BUNDLE`` and calls its runtime with ``create --bundle BUNDLE``."""
    pairs = itertools.pairwise(arguments)
    return any(flag in (b"-b", b"--bundle") and value == bundle for flag, value in pairs)
