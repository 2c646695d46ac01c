"""Logs of real containers: bounded whatever they write, and without a gap."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from reconciler.drivers.exec import base, log_files
from reconciler.testing.exec_bench import RealBench
from reconciler.testing.exec_suite import Never, ended, run, said
from reconciler.testing.wait import until

LIMITS = base.LogLimits(max_size=256 << 10, max_files=3)
#: 20,000 numbered lines, about 1 MB of log
COUNTING = ("sh", "-c", "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done")
#: the same once it is told to
ON_SIGNAL = (
    "sh",
    "-c",
    "trap go=1 USR1; echo line -1; until [ $go ]; do sleep 0.02; done; " + COUNTING[2] + "; sleep 3",
)


@contextlib.contextmanager
def kept(driver: base.ExecDriver) -> Iterator[None]:
    stop = Never()
    keeping = threading.Thread(target=driver.keep_logs, args=(stop,))
    keeping.start()
    try:
        yield
    finally:
        stop.stop()
        keeping.join(10.0)
        stop.close()


def counted(driver: base.ExecDriver, config: base.ContainerConfig, stop: Never) -> list[int]:
    return [int(line.text.removeprefix(b"line ")) for line in said(driver, config, stop)]


def test_a_log_stays_within_its_limits_and_has_no_gap(bench: RealBench, stop: Never) -> None:
    driver = bench.open(LIMITS)
    with kept(driver):
        config = run(bench, driver, "one", *COUNTING)
        followed = driver.log_lines(config.log_path, base.LogQuery(follow=True), stop)
        seen = [next(line for line in followed if line.stream != "run") for _ in range(20000)]
        ended(driver, "one")
        until(lambda: driver.log_size(config.log_path) < LIMITS.max_size * 3.5, 20.0, "the log to be cut")
    assert [line.text for line in seen] == [f"line {number}".encode() for number in range(20000)]
    found = counted(driver, config, stop)
    assert found == list(range(found[0], 20000))
    assert driver.log_size(config.log_path) > LIMITS.max_size


def test_a_flood_is_bounded(bench: RealBench, stop: Never) -> None:
    limits = base.LogLimits(max_size=2 << 20, max_files=3)
    driver = bench.open(limits)
    most = 0
    with kept(driver):
        config = run(bench, driver, "one", "sh", "-c", "yes | head -c 60000000; echo last")
        while driver.inspect("one").status != "exited":
            most = max(most, driver.log_size(config.log_path))
            time.sleep(0.005)
        until(lambda: driver.log_size(config.log_path) < 5 * limits.max_size, 20.0, "the log to be cut")
    # measured on a busy machine of two cores: 42 MB with limits of 3 times 10 MiB, and 350 MB written in a second
    assert most < 60 << 20
    assert said(driver, config, stop, base.LogQuery(tail=1))[0].text == b"last"


def test_a_log_is_bounded_while_no_daemon_runs(bench: RealBench, stop: Never, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_files, "_CAP", 1)
    driver = bench.open(LIMITS)
    config = run(bench, driver, "one", *COUNTING)
    ended(driver, "one")
    whole = driver.log_size(config.log_path)
    assert whole <= 3 * LIMITS.max_size * LIMITS.max_files
    after = bench.open(LIMITS)
    run(bench, after, "one", "sh", "-c", "echo line 20000")
    ended(after, "one")
    assert after.log_size(config.log_path) <= LIMITS.max_size * (LIMITS.max_files + 1)
    assert counted(after, config, stop)[-1] == 20000


KEEPER = """
import sys
from pathlib import Path
from reconciler.drivers import exec as exec_driver
from reconciler.drivers.exec import base
class Stop:
    def fileno(self):
        return 0
driver = exec_driver.open_driver(sys.argv[1], Path(sys.argv[2]), "runc", base.LogLimits(256 << 10, 3))
print(end=".", flush=True)
driver.keep_logs(Stop())
"""


@pytest.mark.parametrize(
    "point", ["exec.log.number.after:3", "exec.log.create.after:1", "exec.log.next.after:2", "exec.log.remove.after:3"]
)
def test_another_daemon_goes_on_where_one_was_killed(bench: RealBench, stop: Never, point: str) -> None:
    driver = bench.open(LIMITS)
    config = run(bench, driver, "one", *ON_SIGNAL)
    read, write = os.pipe()
    victim = subprocess.Popen(
        [sys.executable, "-c", KEEPER, bench.instance, str(bench.run_dir)],
        stdin=read,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYDOCK_FAILPOINT": point, "PYTHONPATH": os.getcwd()},
    )
    with contextlib.ExitStack() as undo:
        undo.enter_context(victim)
        undo.callback(victim.kill)
        undo.enter_context(os.fdopen(read))
        undo.enter_context(os.fdopen(write))
        assert victim.stdout is not None
        assert victim.stdout.read(1) == b"."
        until(lambda: counted(driver, config, stop) == [-1], 5.0, "the trap to be set")
        driver.signal("one", signal.SIGUSR1)
        assert victim.wait(20) == -signal.SIGKILL
    with kept(bench.open(LIMITS)):
        ended(driver, "one")
        until(lambda: driver.log_size(config.log_path) < LIMITS.max_size * 3.5, 20.0, "the log to be cut")
    found = counted(driver, config, stop)
    assert found == list(range(found[0], 20000))
