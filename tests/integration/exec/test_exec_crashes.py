"""Whatever dies wherever: what is left is seen for what it is, can be used or cleared, and nothing leaks."""

from __future__ import annotations

import contextlib
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.drivers.exec import base, cgroups, pids, processes, rundir
from reconciler.errors import Conflict, Temporary
from reconciler.testing.engine_api import children
from reconciler.testing.exec_bench import RealBench
from reconciler.testing.exec_suite import SLEEP, ended, run
from reconciler.testing.wait import until

#: what another pydockd does that is killed at a failpoint
VICTIM = """
import pickle, sys
from pathlib import Path
from reconciler.drivers import exec as exec_driver
driver = exec_driver.open_driver(sys.argv[1], Path(sys.argv[2]), "runc")
config = pickle.load(sys.stdin.buffer)
for step in sys.argv[3].split(","):
    getattr(driver, step)(config if step == "create" else config.id)
"""

CREATING = (
    "exec.create.clear.after",
    "exec.files.mount.after",
    "exec.create.files.after",
    "exec.create.spawn.after",
    "exec.create.fork.after",
    "exec.create.join.after",
    "exec.create.launch.after",
    "exec.files.unmount.after",
    "exec.create.pids.after",
    "exec.create.record.after",
)
STARTING = ("exec.start.adopt.after", "exec.start.mark.after", "exec.start.release.after")
CLEARING = (
    "exec.clear.kill.after",
    "exec.clear.conmon.after",
    "exec.clear.cgroup.after",
    "exec.clear.files.after",
)


def kill_at(bench: RealBench, point: str, steps: str, config: base.ContainerConfig) -> None:
    """Another process runs ``steps`` and is killed at ``point``."""
    done = subprocess.run(
        [sys.executable, "-c", VICTIM, bench.instance, str(bench.run_dir), steps],
        input=pickle.dumps(config),
        env={**os.environ, "PYDOCK_FAILPOINT": point, "PYTHONPATH": os.getcwd()},
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, f"{point} was never reached"


def supervisors(bench: RealBench, id: str) -> list[int]:
    """Live conmons and runtimes that work on the run's bundle."""
    return [pid for pid, _ in processes._strays(os.fsencode(bench.base / "runs" / id))]


def works(bench: RealBench, id: str) -> None:
    """From whatever there is: a create, a start, a normal end, and nothing left."""
    driver = bench.open()
    run(bench, driver, id, "sh", "-c", "exit 4")
    assert ended(driver, id).exit_code == 4
    driver.delete(id)
    assert driver.list() == ()
    assert supervisors(bench, id) == []


@pytest.mark.parametrize("point", CREATING)
def test_killed_in_a_create_then_created_again(bench: RealBench, point: str) -> None:
    kill_at(bench, point, "create", bench.config("one", *SLEEP))
    assert bench.open().inspect("one").status in ("absent", "created")
    works(bench, "one")


@pytest.mark.parametrize("point", CREATING)
def test_killed_in_a_create_then_deleted(bench: RealBench, point: str) -> None:
    kill_at(bench, point, "create", bench.config("one", *SLEEP))
    driver = bench.open()
    driver.delete("one")
    assert driver.list() == ()
    assert supervisors(bench, "one") == []
    assert not cgroups.exists(bench.groups.layout, bench.groups.top)


@pytest.mark.parametrize("point", CREATING[-4:])
def test_a_create_that_was_done_but_for_its_record_can_be_started(bench: RealBench, point: str) -> None:
    kill_at(bench, point, "create", bench.config("one", *SLEEP, limits=base.Limits(pids=5)))
    driver = bench.open()
    created = driver.inspect("one")
    assert (created.status, created.supervised) == ("created", True)
    started = driver.start("one")
    assert driver.limits("one") == base.Limits(pids=5)
    assert (started.status, started.pid, started.pid_start) == ("running", created.pid, created.pid_start)
    conmon = driver.conmon_process("one")
    assert conmon is not None
    assert cgroups.in_group(bench.groups.conmon("one"), conmon[0])
    driver.signal("one", signal.SIGKILL)
    assert ended(driver, "one").signal == signal.SIGKILL


@pytest.mark.parametrize("point", [f"exec.create.{name}.after" for name in ("spawn", "fork", "join")])
def test_a_create_that_nobody_waits_for_loses_its_conmon_and_is_not_started(bench: RealBench, point: str) -> None:
    """conmon ends when it cannot answer: a process started then would be without log and exit code."""
    kill_at(bench, point, "create", bench.config("one", *SLEEP))
    driver = bench.open()
    until(lambda: driver.inspect("one").status == "created", 10.0, "the runtime to finish alone")
    until(lambda: not driver.inspect("one").supervised, 10.0, "conmon to end")
    with pytest.raises(Conflict, match="created again"):
        driver.start("one")
    works(bench, "one")


@pytest.mark.parametrize("point", STARTING)
def test_killed_in_a_start(bench: RealBench, point: str) -> None:
    kill_at(bench, point, "create,start", bench.config("one", "sh", "-c", "sleep 1000"))
    driver = bench.open()

    def seen() -> bool:
        # the process is on its way from the runtime's init to the command
        return driver.inspect("one").status == ("running" if point == STARTING[-1] else "created")

    until(seen, 10.0, "what it really is")
    before = driver.inspect("one")
    started = driver.start("one")
    assert (started.status, started.pid) == ("running", before.pid)
    until(lambda: pids.command_line(started.pid)[:1] == (b"sleep",), 10.0, "the command to run")
    assert driver.inspect("one").status == "running"


@pytest.mark.parametrize("point", CLEARING)
@pytest.mark.parametrize("steps", ["delete", "create"])
def test_killed_while_clearing(bench: RealBench, point: str, steps: str) -> None:
    driver = bench.open()
    config = bench.config("one", *SLEEP)
    driver.create(config)
    kill_at(bench, point, steps, config)
    driver.delete("one")
    assert driver.list() == ()
    works(bench, "one")


def test_an_exit_while_nobody_was_there_is_known_later(bench: RealBench) -> None:
    kill_at(bench, "exec.start.release.after", "create,start", bench.config("one", "sh", "-c", "exit 9"))
    assert ended(bench.open(), "one").exit_code == 9


def test_killed_between_start_and_end_with_conmon(bench: RealBench) -> None:
    """conmon and the process both die: no exit file, no endless wait."""
    driver = bench.open()
    run(bench, driver, "one", *SLEEP)
    facts, conmon = driver.inspect("one"), driver.conmon_process("one")
    assert conmon is not None
    pids.send(*conmon, signal.SIGKILL)
    pids.send(facts.pid, facts.pid_start, signal.SIGKILL)
    assert pids.wait_end(facts.pid, facts.pid_start, 5.0)
    assert pids.wait_end(*conmon, 5.0)
    found = driver.inspect("one")
    assert (found.status, found.exit_reason, found.exit_code) == ("exited", "unknown", None)
    works(bench, "one")


def test_a_hung_conmon_does_not_hang_us(bench: RealBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "EXIT_FILE_TIMEOUT", 0.05)
    monkeypatch.setattr(processes, "_CONMON_TIMEOUT", 0.05)
    driver = bench.open()
    run(bench, driver, "one", *SLEEP)
    conmon = driver.conmon_process("one")
    assert conmon is not None
    pids.send(*conmon, signal.SIGSTOP)
    driver.signal("one", signal.SIGKILL)
    until(lambda: driver.inspect("one").status == "exited", 5.0, "the end to be seen")
    assert driver.inspect("one").exit_reason == "unknown"
    driver.delete("one")
    assert not pids.alive(*conmon)


def test_after_a_reboot_nothing_is_known(bench: RealBench) -> None:
    driver = bench.open()
    run(bench, driver, "one", *SLEEP)
    driver.signal("one", signal.SIGKILL)
    ended(driver, "one")
    driver.delete("one")
    # the run directory is on tmpfs: it starts empty
    shutil.rmtree(bench.run_dir)
    again = bench.open()
    assert again.inspect("one").status == "absent"
    assert again.list() == ()
    works(bench, "one")


def test_remains_of_every_kind_are_listed_and_removed(bench: RealBench) -> None:
    driver = bench.open()
    mounts = bench.groups.layout.mounts()
    (bench.base / "runs/bundle").mkdir()
    (bench.base / "runtime/state").mkdir()
    (bench.base / "exits/exit").write_text("0")
    for group in (bench.groups.container("group"), bench.groups.conmon("supervisor")):
        os.makedirs(f"{mounts[0]}/{group}")
    assert driver.list() == ("bundle", "exit", "group", "state", "supervisor")
    for id in driver.list():
        assert driver.inspect(id).status in ("absent", "exited")
        driver.delete(id)
    assert driver.list() == ()


def test_a_half_written_exit_is_not_read(bench: RealBench) -> None:
    driver = bench.open()
    run(bench, driver, "one", *SLEEP)
    (bench.base / "exits/one.ABC123").write_text("7")
    assert driver.inspect("one").status == "running"
    assert driver.list() == ("one",)
    driver.delete("one")
    assert list((bench.base / "exits").iterdir()) == []


def test_delete_works_where_no_runtime_does(bench: RealBench, tmp_path: Path) -> None:
    run(bench, bench.open(), "one", *SLEEP)
    broken = RealBench(tmp_path, bench.rootfs, "/none/such")
    broken.instance = bench.instance
    broken.open().delete("one")
    assert bench.open().list() == ()


def test_a_record_that_is_garbage(bench: RealBench) -> None:
    driver = bench.open()
    run(bench, driver, "one", *SLEEP)
    facts = driver.inspect("one")
    (bench.base / "runs/one/run.json").write_bytes(b"\0garbage")
    found = driver.inspect("one")
    assert (found.status, found.pid, found.pid_start, found.supervised) == ("running", facts.pid, facts.pid_start, True)
    record = rundir.Run(bench.base, "one").record()
    assert record is None
    driver.delete("one")
    assert not pids.alive(facts.pid, facts.pid_start)


def test_many_at_once(bench: RealBench) -> None:
    from concurrent.futures import ThreadPoolExecutor

    driver = bench.open()

    def live(number: int) -> int | None:
        id = f"c{number}"
        run(bench, driver, id, "sh", "-c", f"exit {number}")
        code = ended(driver, id).exit_code
        driver.delete(id)
        return code

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(live, range(12))) == list(range(12))
    assert driver.list() == ()


def test_no_descriptor_or_child_is_left_in_us(bench: RealBench) -> None:
    driver = bench.open()
    works(bench, "warm")
    before = set(os.listdir("/proc/self/fd"))
    others = children(os.getpid())  # of other tests' servers in this process
    for _ in range(3):
        works(bench, "one")
    assert len(os.listdir("/proc/self/fd")) == len(before)
    assert set(children(os.getpid())) <= set(others), "a child of ours is left, running or not waited for"
    assert driver.list() == ()


def test_without_descriptors_nothing_is_taken_for_dead(bench: RealBench) -> None:
    driver = bench.open()
    config = run(bench, driver, "one", *SLEEP)
    before = driver.inspect("one")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = [os.open("/dev/null", os.O_RDONLY)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))), hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        for question in (driver.inspect, driver.conmon_process, driver.limits, driver.delete, driver.start):
            with pytest.raises(Temporary):
                question("one")
        with pytest.raises(Temporary):
            driver.create(config)
        with pytest.raises(Temporary):
            driver.list()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in taken:
            os.close(fd)
    assert driver.inspect("one") == before
