"""An exec driver in memory: no process, no cgroup, the same promises as the real one.

It understands a few command lines: ``sh -c SCRIPT`` where the script is made of ``echo WORDS``, ``echo WORDS >&2``,
``printf WORDS`` and a last ``exit N``, separated by ``;``. Everything else runs until a signal ends it.
"""

from __future__ import annotations

import os
import re
import select
import shlex
import signal as signals
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from reconciler.drivers.exec import base, limits, logs, pids
from reconciler.errors import Conflict, NotFound, Permanent

_FIRST_PID = 1 << 22
_PAGE = 4096
#: what a first process of a container does not survive in the fake
_DEADLY = frozenset((signals.SIGKILL, signals.SIGTERM, signals.SIGINT, signals.SIGHUP, signals.SIGQUIT))


@dataclass
class FakeRun:
    """One run: what the kernel and the files would tell."""

    config: base.ContainerConfig
    facts: base.ProcessFacts
    limits: base.Limits
    conmon: tuple[int, int]


class World:
    """What outlives a driver object: runs and logs. Several ``FakeExec`` may share one.

    ``lifelike``: every run shows this process' own pid, so that whoever opens a pidfd finds a live process.
    """

    def __init__(self, lifelike: bool = False) -> None:
        self.runs: dict[str, FakeRun] = {}
        self.logs: dict[str, list[base.LogLine]] = {}
        self.lock = threading.RLock()
        self._lifelike = lifelike
        self._next_pid = _FIRST_PID

    def new_pid(self) -> tuple[int, int]:
        if self._lifelike:
            return os.getpid(), pids.start_time(os.getpid()) or 0
        self._next_pid += 1
        return self._next_pid, self._next_pid * 3


class FakeExec:
    """Implements ``base.ExecDriver``; ``finish``, ``kill_conmon`` and ``lose`` play the outer world.

    ``fail`` maps a method's name to the error that its next call raises.
    """

    def __init__(self, world: World | None = None) -> None:
        self.world = world or World()
        self.fail: dict[str, Exception] = {}
        self.calls: list[tuple[str, str]] = []

    def _enter(self, method: str, id: str = "") -> None:
        self.calls.append((method, id))
        if method in self.fail:
            raise self.fail.pop(method)

    def probe(self) -> base.RuntimeFacts:
        self._enter("probe")
        return base.RuntimeFacts(name="fake", path="/fake", version="1", conmon="/fake/conmon", cgroup="v2")

    def create(self, config: base.ContainerConfig) -> base.ProcessFacts:
        self._enter("create", config.id)
        with self.world.lock:
            present = self.world.runs.get(config.id)
            if present is not None and present.facts.status == "running":
                raise Conflict(f"{config.id} runs already")
            if not config.argv or config.argv[0].startswith("/missing"):
                raise Permanent(f"exec: {config.argv[:1]}: no such file or directory")
            if config.user.startswith("nobody-knows"):
                raise Permanent(f"user {config.user!r} is not in the image's /etc/passwd")
            self._forget(config.id)
            pid, pid_start = self.world.new_pid()
            facts = base.ProcessFacts(status="created", pid=pid, pid_start=pid_start)
            self.world.runs[config.id] = FakeRun(config, facts, _rounded(config.limits), self.world.new_pid())
            mark = base.LogLine(datetime.now(UTC).isoformat(), "run", config.id.encode())
            self.world.logs.setdefault(config.log_path, []).append(mark)
            return facts

    def start(self, id: str) -> base.ProcessFacts:
        self._enter("start", id)
        with self.world.lock:
            run = self.world.runs.get(id)
            if run is None:
                raise NotFound(f"there is no created process of {id}")
            if run.facts.status == "created":
                run.facts = msgspec.structs.replace(run.facts, status="running", started_at=time.time())
                self._run_script(id, run.config)
            return run.facts

    def _run_script(self, id: str, config: base.ContainerConfig) -> None:
        if config.argv[:2] != ("sh", "-c"):
            return
        for command in config.argv[2].split(";"):
            words = shlex.split(command)
            if words[:1] == ["echo"]:
                stream: logs.Stream = "stderr" if words[-1] == ">&2" else "stdout"
                self._log(config, stream, " ".join(word for word in words[1:] if word != ">&2"))
            elif words[:1] == ["printf"]:
                self._log(config, "stdout", " ".join(words[1:]), partial=True)
            elif match := re.fullmatch(r"exit (\d+)", command.strip()):
                self.finish(id, int(match[1]))
                return

    def _log(self, config: base.ContainerConfig, stream: logs.Stream, text: str, partial: bool = False) -> None:
        line = base.LogLine(
            datetime.now(UTC).isoformat(), "stderr" if stream == "stderr" else "stdout", text.encode(), partial
        )
        self.world.logs.setdefault(config.log_path, []).append(line)

    def finish(self, id: str, code: int, reason: base.ExitReason = "exited") -> None:
        """The process ends: ``code`` 128 + n for signal n, as conmon writes it."""
        with self.world.lock:
            run = self.world.runs[id]
            known = run.facts.supervised
            number = code - 128 if reason in ("signal", "oom") else 0
            run.facts = base.ProcessFacts(
                status="exited",
                supervised=known,
                started_at=run.facts.started_at,
                finished_at=time.time(),
                exit_code=code if known else None,
                exit_reason=reason if known else "unknown",
                signal=number if known else 0,
            )

    def kill_conmon(self, id: str) -> None:
        """The supervisor is gone; the process runs on."""
        with self.world.lock:
            run = self.world.runs[id]
            run.conmon = (0, 0)
            run.facts = msgspec.structs.replace(run.facts, supervised=False)

    def lose(self, id: str) -> None:
        """All of a run vanishes, as after a reboot."""
        with self.world.lock:
            self._forget(id)

    def _forget(self, id: str) -> None:
        self.world.runs.pop(id, None)

    def inspect(self, id: str) -> base.ProcessFacts:
        self._enter("inspect", id)
        run = self.world.runs.get(id)
        return run.facts if run is not None else base.ProcessFacts(status="absent")

    def conmon_process(self, id: str) -> tuple[int, int] | None:
        self._enter("conmon_process", id)
        run = self.world.runs.get(id)
        return run.conmon if run is not None and run.conmon[0] and run.facts.status != "exited" else None

    def list(self) -> tuple[str, ...]:
        self._enter("list")
        return tuple(sorted(self.world.runs))

    def signal(self, id: str, signal: int) -> None:
        self._enter("signal", id)
        with self.world.lock:
            run = self.world.runs.get(id)
            if run is not None and run.facts.status in ("created", "running") and signal in _DEADLY:
                self.finish(id, 128 + signal, "signal")

    def delete(self, id: str) -> None:
        self._enter("delete", id)
        self.lose(id)

    def limits(self, id: str) -> base.Limits | None:
        self._enter("limits", id)
        run = self.world.runs.get(id)
        return run.limits if run is not None else None

    def limits_match(self, wanted: base.Limits, found: base.Limits) -> bool:
        return limits.match(wanted, found)

    def set_limits(self, id: str, limits: base.Limits) -> None:
        self._enter("set_limits", id)
        with self.world.lock:
            if id not in self.world.runs:
                raise NotFound(f"{id} has no cgroup: it does not run")
            self.world.runs[id].limits = _rounded(limits)

    def limit_files(self, id: str) -> tuple[str, ...]:
        return (f"/fake/cgroup/{id}/memory.max",) if id in self.world.runs else ()

    def log_lines(self, log_path: str, query: base.LogQuery, stop: base.LogStop) -> Iterator[base.LogLine]:
        self._enter("log_lines", log_path)
        present = list(self.world.logs.get(log_path, ()))
        yield from _chosen(present, query)
        seen = len(present)
        while query.follow and not _readable(stop, 0.01):
            fresh = self.world.logs.get(log_path, [])[seen:]
            seen += len(fresh)
            yield from fresh
        if query.follow:
            yield from self.world.logs.get(log_path, [])[seen:]

    def log_size(self, log_path: str) -> int:
        return sum(len(line.text) for line in self.world.logs.get(log_path, ()))

    def keep_logs(self, stop: base.LogStop) -> None:
        _readable(stop, None)


def _readable(stop: base.LogStop, seconds: float | None) -> bool:
    poll = select.poll()
    poll.register(stop.fileno(), select.POLLIN)
    return bool(poll.poll(None if seconds is None else seconds * 1000))


def _chosen(lines: list[base.LogLine], query: base.LogQuery) -> list[base.LogLine]:
    """What there is by now of the lines that ``query`` asks for."""
    marks = [index for index, line in enumerate(lines) if line.stream == "run"]
    if query.previous:
        lines = lines[marks[-2] : marks[-1]] if len(marks) > 1 else []
    ends = [index for index, line in enumerate(lines) if line.stream != "run"]
    if query.tail is not None:
        lines = lines[ends[-query.tail] :] if 0 < query.tail <= len(ends) else [] if query.tail == 0 else lines
    return [line for line in lines if datetime.fromisoformat(line.time).timestamp() >= query.since]


def _rounded(wanted: base.Limits) -> base.Limits:
    """As the kernel keeps it."""
    cpu = max(10, wanted.cpu_millis) if wanted.cpu_millis else 0
    return base.Limits(cpu_millis=cpu, memory=wanted.memory // _PAGE * _PAGE, pids=wanted.pids)
