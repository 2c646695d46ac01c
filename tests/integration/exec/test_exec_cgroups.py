"""Groups: where conmon and the container are, what memory limits do, and how full ones are emptied."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from reconciler.drivers.exec import base, cgroups, pids
from reconciler.errors import Permanent, Temporary
from reconciler.testing.exec_bench import RealBench, cgroup_view
from reconciler.testing.exec_suite import SLEEP, ended, run
from reconciler.testing.wait import until

HOG = ("sh", "-c", "dd if=/dev/zero of=/dev/null bs=200M count=1")
SMALL = base.Limits(memory=16 << 20, pids=50)


def groups_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    return {line.split(":", 2)[1]: line.split(":", 2)[2] for line in lines}


def test_conmon_and_container_have_groups_of_their_own(bench: RealBench) -> None:
    driver = bench.open()
    run(bench, driver, "one", *SLEEP)
    conmon = driver.conmon_process("one")
    assert conmon is not None
    ours, supervisor, inner = groups_of(os.getpid()), groups_of(conmon[0]), groups_of(driver.inspect("one").pid)
    for controller in ("memory", "pids", "name=systemd", ""):
        assert supervisor[controller] == f"/{bench.groups.slice}/conmon-one"
    assert all(path == f"/{bench.groups.slice}/one" for path in inner.values())
    assert bench.groups.slice not in "".join(ours.values())


def test_killed_by_the_kernel_for_memory(bench: RealBench) -> None:
    driver = bench.open()
    run(bench, driver, "one", "dd", "if=/dev/zero", "of=/dev/null", "bs=200M", "count=1", limits=SMALL)
    facts = ended(driver, "one")
    assert (facts.exit_code, facts.exit_reason, facts.signal) == (137, "oom", 9)
    run(bench, driver, "one", *SLEEP, limits=SMALL)
    driver.signal("one", signal.SIGKILL)
    assert ended(driver, "one").exit_reason == "signal"


def test_memory_is_the_reason_however_it_is_learnt(bench: RealBench) -> None:
    """conmon's note, and the group's counter: each is enough."""
    driver = bench.open()
    run(bench, driver, "one", "dd", "if=/dev/zero", "of=/dev/null", "bs=200M", "count=1", limits=SMALL)
    ended(driver, "one")
    assert cgroups.oom_kills(bench.groups.layout, bench.groups.container("one")) > 0
    (bench.base / "runs/one/oom").unlink(missing_ok=True)
    assert driver.inspect("one").exit_reason == "oom"
    (bench.base / "runs/one/oom").touch()
    cgroups.remove(bench.groups.layout, bench.groups.container("one"), 5.0)
    assert driver.inspect("one").exit_reason == "oom"


def test_a_child_killed_for_memory_is_not_the_container_s_end(bench: RealBench) -> None:
    driver = bench.open()
    run(bench, driver, "one", "sh", "-c", HOG[2] + "; exit 5", limits=SMALL)
    facts = ended(driver, "one")
    assert (facts.exit_code, facts.exit_reason) == (5, "exited")


def test_the_pids_limit_holds(bench: RealBench) -> None:
    text = bench.output("for i in 1 2 3 4 5 6 7 8 9; do sleep 1 & done", limits=base.Limits(pids=5))
    assert "fork" in text


def test_a_program_may_have_fewer_tasks_than_its_runtime(bench: RealBench) -> None:
    """runc alone has more threads than that: its start is not counted, whatever the limit."""
    driver = bench.open()
    for _ in range(3):
        run(bench, driver, "one", *SLEEP, limits=base.Limits(pids=1))
        assert driver.limits("one") == base.Limits(pids=1)
        driver.signal("one", signal.SIGKILL)
        assert ended(driver, "one").signal == signal.SIGKILL


def test_a_limit_below_what_is_in_use_is_refused_in_a_sentence(bench: RealBench) -> None:
    driver = bench.open()
    script = "head -c 20000000 /dev/zero >/dev/shm/x; echo ready; sleep 1000"
    config = run(bench, driver, "one", "sh", "-c", script, limits=base.Limits(memory=64 << 20))
    until(lambda: Path(config.log_path).exists() and b"ready" in Path(config.log_path).read_bytes(), 10.0, "its memory")
    before = driver.limits("one")
    with pytest.raises(Temporary, match=r"of memory are in use, more than the limit of 1.0MiB: the limit in force"):
        driver.set_limits("one", base.Limits(memory=1 << 20, pids=7, cpu_millis=100))
    assert driver.limits("one") == before
    assert driver.inspect("one").status == "running"


def test_a_foreign_write_to_a_limit_is_seen(bench: RealBench) -> None:
    driver = bench.open()
    wanted = base.Limits(pids=50, memory=64 << 20)
    run(bench, driver, "one", *SLEEP, limits=wanted)
    for path in driver.limit_files("one"):
        if path.endswith(("pids.max", "limit_in_bytes", "memory.max")):
            before = Path(path).read_text()
            Path(path).write_text(str(32 << 20) if "memory" in path else "7")
            found = driver.limits("one")
            assert found is not None
            assert not driver.limits_match(wanted, found)
            Path(path).write_text(before)
    driver.set_limits("one", wanted)
    assert driver.limits("one") == wanted


def test_everything_in_the_group_ends_with_the_container(bench: RealBench) -> None:
    """Also what was put into a group below it, and what does not belong to its pid namespace."""
    driver = bench.open()
    run(bench, driver, "one", *SLEEP)
    foreign = subprocess.Popen(["sleep", "1000"])
    directory = bench.groups.layout.directory("pids", bench.groups.container("one"))
    os.mkdir(f"{directory}/below")
    Path(f"{directory}/below/cgroup.procs").write_text(str(foreign.pid))
    driver.delete("one")
    assert foreign.wait(5) == -signal.SIGKILL
    assert not os.path.exists(directory)


def test_a_frozen_container_is_deleted(bench: RealBench) -> None:
    driver = bench.open()
    run(bench, driver, "one", *SLEEP)
    facts = driver.inspect("one")
    # tasks that are frozen in the middle of an exec never count as frozen
    until(lambda: pids.command_line(facts.pid)[:1] == (b"sleep",), 5.0, "the command to run")
    freezer = bench.groups.layout.directory("freezer", bench.groups.container("one"))

    def frozen() -> bool:
        # the old freezer has to be told until it has caught every task
        Path(f"{freezer}/freezer.state").write_text("FROZEN")
        return Path(f"{freezer}/freezer.state").read_text() == "FROZEN\n"

    until(frozen, 5.0, "the freezer")
    driver.delete("one")
    assert not pids.alive(facts.pid, facts.pid_start)
    assert driver.list() == ()


def test_what_cannot_be_ended_is_said(bench: RealBench, monkeypatch: pytest.MonkeyPatch) -> None:
    from reconciler.drivers.exec import processes

    driver = bench.open()
    run(bench, driver, "one", *SLEEP)
    facts = driver.inspect("one")
    with monkeypatch.context() as patch:
        patch.setattr(processes, "_REMOVE_TIMEOUT", 0.05)
        patch.setattr(pids, "send", lambda *_: False)
        patch.setattr(cgroups, "kill_all", lambda *_: None)
        with pytest.raises(Temporary, match="have not ended yet"):
            driver.delete("one")
    assert pids.alive(facts.pid, facts.pid_start)
    driver.delete("one")
    assert driver.list() == ()


def test_the_slice_goes_with_the_last_container(bench: RealBench) -> None:
    driver = bench.open()
    run(bench, driver, "one", *SLEEP)
    run(bench, driver, "two", *SLEEP)
    driver.delete("one")
    assert cgroups.exists(bench.groups.layout, bench.groups.top)
    driver.delete("two")
    assert not cgroups.exists(bench.groups.layout, bench.groups.top)


def test_two_instances_do_not_see_each_other(bench: RealBench, tmp_path: Path) -> None:
    other = RealBench(tmp_path, bench.rootfs)
    try:
        run(bench, bench.open(), "one", *SLEEP)
        run(other, other.open(), "one", *SLEEP)
        before = other.open().inspect("one")
        bench.open().delete("one")
        assert other.open().inspect("one") == before
    finally:
        other.close()


def test_crun_is_refused_on_a_hybrid_layout_in_its_own_words(bench: RealBench, tmp_path: Path) -> None:
    assert bench.groups.layout.mode == "hybrid"
    with pytest.raises(Permanent, match=r"tried crun \(/usr/bin/crun\): cgroups in hybrid mode not supported"):
        RealBench(tmp_path, bench.rootfs, "crun").open().probe()
    assert bench.open().probe().name == "runc"


def test_a_trial_leaves_nothing(bench: RealBench) -> None:
    driver = bench.open()
    facts = driver.probe()
    assert facts.cgroup == bench.groups.layout.mode
    assert facts.conmon == "/usr/bin/conmon"
    assert driver.list() == ()
    assert [path.name for path in bench.base.iterdir()] in ([], sorted(["exits", "runs", "runtime"])) or {
        path.name for path in bench.base.iterdir()
    } == {"exits", "runs", "runtime"}
    assert not cgroups.exists(bench.groups.layout, bench.groups.top)


def test_a_container_on_v2_has_its_own_view(tmp_path: Path, rootfs: Path) -> None:
    with cgroup_view("v2"):
        bench = RealBench(tmp_path, rootfs, "runc")
        assert bench.groups.layout.mode == "v2"
        assert "0::/\n" in bench.output("cat /proc/self/cgroup")
        run(bench, bench.open(), "one", *SLEEP)
        assert groups_of(bench.open().inspect("one").pid)[""] == f"/{bench.groups.slice}/one"
        bench.close()


def test_a_start_that_comes_to_nothing_leaves_no_group(bench: RealBench) -> None:
    """As where the network's driver finds the kernel lacking, after the runtime was tried."""
    bench.open().probe()
    assert not cgroups.exists(bench.groups.layout, bench.groups.top)
