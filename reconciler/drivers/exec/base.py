"""The exec driver: runs containers' processes.

Words: an *id* is an incarnation's; a *run* is one process of it from create to exit. The driver keeps its
run-time files below a directory of its own on tmpfs (gone after a reboot, as the processes are) and the log where
``ContainerConfig.log_path`` says.

Life of a container: ``create`` (process waits before exec) → ``start`` → the process ends by itself or by ``signal``
→ ``create`` again for the next run (what the last run left is cleared first) … → ``delete``.
The container outlives the daemon: after a restart ``inspect`` tells the same as before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Protocol

import msgspec

Status = Literal["absent", "created", "running", "exited"]
ExitReason = Literal["", "exited", "signal", "oom", "unknown"]


class BindMount(msgspec.Struct, frozen=True):
    source: str
    target: str
    read_only: bool = False


class TmpfsMount(msgspec.Struct, frozen=True):
    """``size`` in bytes, 0 for the kernel's default."""

    target: str
    size: int = 0
    read_only: bool = False


class Limits(msgspec.Struct, frozen=True):
    """``cpu_millis`` thousandths of a core, ``memory`` bytes, ``pids`` tasks; 0 is no limit."""

    cpu_millis: int = 0
    memory: int = 0
    pids: int = 0


class ContainerConfig(msgspec.Struct, frozen=True):
    """All that a run needs. ``user`` as in an image (``name|uid[:group|gid]``, empty is root) and resolved by the
    driver inside ``rootfs`` without following links out of it. ``files`` maps a path in the container to its text
    (resolv.conf, hosts, hostname): the driver writes them outside the rootfs and binds them in, anew for each run; the
    container may write to them (all together 1 MiB) unless it is ``read_only``. ``directories`` are paths in the
    container that the driver makes in the rootfs, as root's, where nothing is. ``netns`` is a path, or empty for none
    of its own."""

    id: str
    rootfs: str
    argv: tuple[str, ...]
    env: tuple[str, ...]
    cwd: str
    user: str
    hostname: str
    netns: str
    log_path: str
    mounts: tuple[BindMount | TmpfsMount, ...] = ()
    files: dict[str, str] = {}
    directories: tuple[str, ...] = ()
    read_only: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    limits: Limits = Limits()
    labels: dict[str, str] = {}


class ProcessFacts(msgspec.Struct, frozen=True):
    """``status``: absent (nothing is known of the id), created (waits for start), running, exited.
    ``pid_start`` is field 22 of /proc/PID/stat (clock ticks since boot), so that a reused pid is not taken for ours.
    ``supervised`` False: conmon is gone. ``exit_code`` None while it runs, or when nobody saw it end
    (``exit_reason`` unknown). ``signal``: number when a signal ended it. Times are Unix seconds."""

    status: Status
    pid: int = 0
    pid_start: int = 0
    supervised: bool = True
    started_at: float = 0.0
    finished_at: float = 0.0
    exit_code: int | None = None
    exit_reason: ExitReason = ""
    signal: int = 0


class RuntimeFacts(msgspec.Struct, frozen=True):
    """What ``probe`` found. ``cgroup`` is v1, hybrid or v2; ``warnings`` are sentences for the log."""

    name: str
    path: str
    version: str
    conmon: str
    cgroup: Literal["v1", "hybrid", "v2"]
    warnings: tuple[str, ...] = ()


class LogLimits(msgspec.Struct, frozen=True):
    """How much of a container's output is kept: ``max_files`` files of about ``max_size`` bytes, the one that is being
    written included. The defaults are those of the kubelet's and of many a docker host's."""

    max_size: int = 10 << 20
    max_files: int = 3


class LogLine(msgspec.Struct, frozen=True):
    """One line as the process wrote it, without its newline (``partial``: the line had no end yet). Or, on the stream
    ``run``, a mark: from here on it is the output of another run, of the incarnation that ``text`` names."""

    time: str
    stream: Literal["stdout", "stderr", "run"]
    text: bytes
    partial: bool = False


class LogQuery(msgspec.Struct, frozen=True):
    """``tail``: how many of the last lines (None: all). ``since``: Unix seconds, only lines from then on. ``previous``:
    only the lines of the run before the latest one. ``follow``: wait for more."""

    tail: int | None = None
    follow: bool = False
    since: float = 0.0
    previous: bool = False


class ExecDriver(Protocol):
    def probe(self) -> RuntimeFacts:
        """Finds a runtime that works here; raises ``Permanent`` saying what was tried and why each failed."""

    def create(self, config: ContainerConfig) -> ProcessFacts:
        """Makes a new run in state created (a former run's remains are cleared first, the log is appended to).
        An existing run of this id that still waits in state created is replaced; one that runs is left alone and
        ``Conflict`` raised. Raises ``Permanent`` with the runtime's words when the configuration is at fault (no such
        command, bad user)."""

    def start(self, id: str) -> ProcessFacts:
        """Lets the created process go. Started already: no effect. Raises ``NotFound`` when nothing was created, and
        ``Conflict`` when the process has lost its supervisor before it ran: create it again."""

    def inspect(self, id: str) -> ProcessFacts:
        """What is true now, read from the kernel and the run's files; forks nothing in the usual case."""

    def conmon_process(self, id: str) -> tuple[int, int] | None:
        """conmon's (pid, pid_start) while it lives, so that its death can be watched too; None when it is gone."""

    def list(self) -> tuple[str, ...]:
        """Every id of which anything is left (files, runtime state, cgroup, conmon)."""

    def signal(self, id: str, signal: int) -> None:
        """Sends to the container's first process, by pidfd and only if it is still that process."""

    def delete(self, id: str) -> None:
        """Kills what runs and removes all of the run: runtime state, cgroups, conmon, run-time files (not the log)."""

    def limits(self, id: str) -> Limits | None:
        """The limits in force, from the cgroup's files; None when there is no cgroup. ``memory`` and cpu are rounded as
        the kernel rounds them: compare with ``limits_match``."""

    def limits_match(self, wanted: Limits, found: Limits) -> bool:
        """Whether ``found`` is what the kernel makes of ``wanted``."""

    def set_limits(self, id: str, limits: Limits) -> None:
        """Changes them in place, without a restart. Raises ``Temporary`` while more memory is in use than the limit
        allows: the limits in force stay."""

    def limit_files(self, id: str) -> tuple[str, ...]:
        """The cgroup files whose inotify MODIFY tells that somebody changed a limit."""

    def log_lines(self, log_path: str, query: LogQuery, stop: LogStop) -> Iterator[LogLine]:
        """The lines that ``query`` asks for, oldest first, and the marks that lie between them. With ``follow`` waits
        for more until ``stop.fd`` becomes readable. A missing log is an empty one."""

    def log_size(self, log_path: str) -> int:
        """Bytes on disk of all files of a log."""

    def keep_logs(self, stop: LogStop) -> None:
        """Keeps the logs of all runs within their limits until ``stop.fd`` becomes readable: for a thread of its own.
        Sleeps while nothing is written."""


class LogStop(Protocol):
    """Something with a descriptor that becomes readable when following must end."""

    def fileno(self) -> int: ...
