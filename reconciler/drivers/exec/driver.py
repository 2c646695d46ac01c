"""The exec driver: an OCI runtime under conmon."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

import msgspec

from reconciler import failpoints
from reconciler.drivers.exec import (
    base,
    cgroups,
    conmon,
    groups,
    host,
    limits,
    log_files,
    log_keeper,
    logs,
    oci,
    pids,
    processes,
    rootfs,
    rundir,
    runtime,
    seccomp,
    slices,
    sources,
    systemd,
    trial,
    users,
)
from reconciler.errors import Conflict, NotFound, Permanent, PydockError, Temporary

P = ParamSpec("P")
T = TypeVar("T")


def _passing(method: Callable[P, T]) -> Callable[P, T]:
    """What the machine lacks for now (descriptors, memory, room on a disk) is worth another try, and no fact about a
    container."""

    @functools.wraps(method)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(*args, **kwargs)
        except OSError as error:
            raise Temporary(f"{error.filename or 'the kernel'}: {error.strerror}", delay=2.0) from error

    return wrapper


class Tools(msgspec.Struct, frozen=True):
    """What the probe found to work with."""

    runtime: runtime.Runtime
    conmon: str
    host: oci.Host


class Driver:
    """Implements ``base.ExecDriver``. Methods may be called from several threads, for different ids at once."""

    def __init__(self, instance: str, run_dir: Path, wanted: str | None, log_limits: base.LogLimits) -> None:
        self._base = run_dir / "exec" / instance
        self._wanted = wanted
        self._log_limits = log_limits
        self._keeper = log_keeper.Keeper(log_limits)
        layout = host.layout()
        self._groups = groups.Groups(instance, layout, systemd=layout.mode == "v2" and systemd.booted())
        self._probing = threading.Lock()
        self._tools: Tools | None = None
        self._creating = 0
        self._slice_lock = threading.Lock()
        rundir.prepare(self._base)

    def probe(self) -> base.RuntimeFacts:
        tools = self._probe()
        tool = tools.runtime
        return base.RuntimeFacts(
            name=tool.kind,
            path=tool.path,
            version=tool.version,
            conmon=tools.conmon,
            cgroup=self._groups.layout.mode,
            warnings=runtime.warnings(tool) + host.warnings(tools.host),
        )

    def _probe(self) -> Tools:
        with self._probing:
            if self._tools is None:
                path = runtime.find_conmon()
                machine = seccomp.this_machine()

                def attempt(tool: runtime.Runtime) -> None:
                    trial.attempt(tool, host.facts(tool, self._groups, machine.kernel), self._groups, self._base)

                with self._slice_in_use():
                    tool = runtime.choose(self._wanted, attempt)
                self._tools = Tools(tool, path, host.facts(tool, self._groups, machine.kernel))
            return self._tools

    @_passing
    def create(self, config: base.ContainerConfig) -> base.ProcessFacts:
        tools = self._probe()
        run = self._run(config.id)
        oci.check(config)
        if self.inspect(config.id).status == "running":
            raise Conflict(f"{config.id} runs already")
        with self._slice_in_use():
            if self._remains(run):
                processes.clear(run, self._groups, tools.runtime)
            failpoints.hit("exec.create.clear.after")
            run.make()
            failpoints.hit("exec.create.make.after")
            try:
                self._launch(config, run, tools)
            except BaseException:
                # what is left is cleared by the next create or delete if this fails too
                with contextlib.suppress(PydockError, OSError):
                    processes.clear(run, self._groups, tools.runtime)
                raise
        return self.inspect(config.id)

    def _launch(self, config: base.ContainerConfig, run: rundir.Run, tools: Tools) -> None:
        rootfs.check(config.rootfs)
        rootfs.make_directories(config.rootfs, config.directories)
        sources.check(config.rootfs, config.mounts)
        identity = users.resolve(config.rootfs, config.user)
        bounding = oci.bounding(config, tools.host)
        filters = seccomp.default(bounding, seccomp.this_machine())
        document = oci.config_json(
            config, identity, tools.host, filters, run.write_files(config.files, writable=not config.read_only)
        )
        run.write(rundir.CONFIG_FILE, msgspec.json.encode(document))
        run.note_pids_limit(config.limits.pids)
        failpoints.hit("exec.create.config.after")
        os.makedirs(os.path.dirname(config.log_path), mode=0o700, exist_ok=True)
        self._keeper.begin(run.id, config.log_path, str(run.control))
        argv = conmon.arguments(
            tools.conmon,
            processes.command(tools.runtime, run),
            run,
            conmon.Log(config.log_path, log_files.conmon_cap(self._log_limits)),
            systemd=self._groups.systemd,
            runtime_known=tools.runtime.known(),
        )
        failpoints.hit("exec.create.files.after")
        record = conmon.launch(argv, run, partial(self._join_supervisor, run.id))
        failpoints.hit("exec.create.launch.after")
        run.take_files_off()
        self._hold_pids(run.id, config.limits.pids)
        failpoints.hit("exec.create.pids.after")
        run.save(record)
        failpoints.hit("exec.create.record.after")

    def _hold_pids(self, id: str, wanted: int) -> None:
        if limits.starting_pids(wanted) == wanted:
            return
        limits.hold_pids(self._groups.layout, self._groups.container(id), wanted)
        if self._groups.systemd:
            systemd.send(systemd.tasks_message(self._groups.container_unit(id), wanted))

    def _join_supervisor(self, id: str, pid: int) -> None:
        where = self._groups
        if where.systemd:
            systemd.put_into_scope(where.conmon_unit(id), where.slice, pid, where.conmon(id))
        else:
            cgroups.join_supervisor(where.layout, where.conmon(id), pid)

    @_passing
    def start(self, id: str) -> base.ProcessFacts:
        run = self._run(id)
        facts = self.inspect(id)
        if facts.status == "absent":
            raise NotFound(f"there is no created process of {id}")
        if facts.status != "created":
            return facts
        if not facts.supervised:
            # nobody would read its output or see it end, and it has done nothing yet
            raise Conflict(f"the created process of {id} has lost its supervisor: it has to be created again")
        found = self._adopted(run)
        failpoints.hit("exec.start.adopt.after")
        run.mark_started()
        failpoints.hit("exec.start.mark.after")
        processes.release(run, found, self._probe().runtime)
        return self.inspect(id)

    def _adopted(self, run: rundir.Run) -> rundir.Record:
        """The run's processes; a create that was cut off is completed first."""
        saved = run.record()
        if saved is not None:
            return saved
        found = processes.record(run, self._groups)
        if found is None:
            raise NotFound(f"there is no created process of {run.id}")
        if pids.alive(found.conmon, found.conmon_start):
            self._join_supervisor(run.id, found.conmon)
        run.take_files_off()
        self._hold_pids(run.id, run.pids_limit())
        run.save(found)
        return found

    @_passing
    def inspect(self, id: str) -> base.ProcessFacts:
        return processes.inspect(self._run(id), self._groups, self._probe().runtime)

    @_passing
    def conmon_process(self, id: str) -> tuple[int, int] | None:
        found = processes.record(self._run(id), self._groups)
        if found is None or not pids.alive(found.conmon, found.conmon_start):
            return None
        return found.conmon, found.conmon_start

    @_passing
    def list(self) -> tuple[str, ...]:
        found = rundir.ids(self._base) | self._groups.ids()
        return tuple(sorted(found - {trial.ID}))

    @_passing
    def signal(self, id: str, signal: int) -> None:
        found = processes.record(self._run(id), self._groups)
        if found is not None:
            pids.send(found.pid, found.pid_start, signal)

    @_passing
    def delete(self, id: str) -> None:
        run = self._run(id)
        if self._remains(run):
            processes.clear(run, self._groups, self._any_runtime())
        self._keeper.drop(id)
        self._drop_slice()

    def _any_runtime(self) -> runtime.Runtime | None:
        """A removal must work on a host where no runtime does any more."""
        try:
            return self._probe().runtime
        except Permanent:
            return None

    def _remains(self, run: rundir.Run) -> bool:
        files = (run.bundle, run.state, run.exit_file)
        return any(map(os.path.lexists, files)) or self._groups.exist(run.id)

    @contextlib.contextmanager
    def _slice_in_use(self) -> Iterator[None]:
        """While a create is under way its slice is not removed under it; after one that failed it may go."""
        with self._slice_lock:
            self._creating += 1
        try:
            with slices.in_use(self._groups):
                yield
        finally:
            with self._slice_lock:
                self._creating -= 1
            self._drop_slice()

    def _drop_slice(self) -> None:
        """Removes the slice with the last container."""
        with self._slice_lock:
            if not self._creating:
                slices.drop(self._groups)
                failpoints.hit("exec.slice.remove.after")

    @_passing
    def limits(self, id: str) -> base.Limits | None:
        return limits.read(self._groups.layout, self._groups.container(groups.check_id(id)))

    def limits_match(self, wanted: base.Limits, found: base.Limits) -> bool:
        return limits.match(wanted, found)

    @_passing
    def set_limits(self, id: str, wanted: base.Limits) -> None:
        group = self._groups.container(groups.check_id(id))
        if not cgroups.exists(self._groups.layout, group):
            raise NotFound(f"{id} has no cgroup: it does not run")
        if self._groups.systemd:
            # systemd would set it first
            limits.hold_back(self._groups.layout, group, wanted)
            systemd.set_limits(self._groups.container_unit(id), wanted)
        limits.write(self._groups.layout, group, wanted)

    def limit_files(self, id: str) -> tuple[str, ...]:
        return limits.files(self._groups.layout, self._groups.container(groups.check_id(id)))

    def log_lines(self, log_path: str, query: base.LogQuery, stop: base.LogStop) -> Iterator[base.LogLine]:
        return logs.lines(log_path, query, stop)

    @_passing
    def log_size(self, log_path: str) -> int:
        return log_files.size(log_path)

    def keep_logs(self, stop: base.LogStop) -> None:
        self._keeper.add(processes.logs(self._base, self._groups))
        self._keeper.run(stop)

    def _run(self, id: str) -> rundir.Run:
        return rundir.Run(self._base, groups.check_id(id))
