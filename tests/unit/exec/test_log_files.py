"""Rotation of a log: the files conmon writes, played by a writer that changes files as conmon does."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.drivers.exec import log_files, log_keeper, logs
from reconciler.drivers.exec.base import LogLimits, LogQuery
from reconciler.testing.exec_suite import Never, stop
from reconciler.testing.wait import until

__all__ = ["stop"]

TIME = "2026-01-02T03:04:05.678901234+00:00"
LIMITS = LogLimits(max_size=4096, max_files=3)


class Writer:
    """conmon's way with its log, and numbered lines."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.count = 0
        self._file = log.open("ab", buffering=0)

    def write(self, lines: int = 1) -> None:
        for _ in range(lines):
            self._file.write(f"{TIME} stdout F line {self.count}\n".encode())
            self.count += 1

    def change(self) -> None:
        self._file.close()
        following = self.log.with_suffix(".tmp")
        self._file = following.open("wb", buffering=0)
        following.rename(self.log)

    def close(self) -> None:
        self._file.close()


def numbers(log: Path, query: LogQuery | None = None) -> list[int]:
    found = logs.lines(str(log), query or LogQuery(), io.BytesIO())
    return [int(line.text.removeprefix(b"line ")) for line in found if line.stream == "stdout"]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "log"


@pytest.fixture
def writer(log: Path) -> Iterator[Writer]:
    log.parent.mkdir()
    log_files.tend(str(log), LIMITS)
    with contextlib.closing(Writer(log)) as found:
        yield found


def test_a_change_of_files_loses_no_line(log: Path, writer: Writer) -> None:
    for _ in range(3):
        writer.write(5)
        writer.change()
        writer.write(5)
        log_files.tend(str(log), LIMITS)
    assert numbers(log) == list(range(30))
    assert numbers(log, LogQuery(tail=12)) == list(range(18, 30))


def test_old_files_go_and_the_newest_lines_stay(log: Path, writer: Writer) -> None:
    for _ in range(10):
        writer.write(75)
        writer.change()
        log_files.tend(str(log), LIMITS)
    writer.write(5)
    found = numbers(log)
    assert found == list(range(found[0], 755))
    assert 590 < found[0] <= 600
    assert log_files.size(str(log)) <= LIMITS.max_size * LIMITS.max_files


def test_a_file_that_grew_far_beyond_its_limit_is_cut_to_its_newest_lines(log: Path, writer: Writer) -> None:
    writer.write(5)
    writer.change()
    log_files.tend(str(log), LIMITS)
    writer.write(2000)
    writer.change()
    log_files.tend(str(log), LIMITS)
    assert log_files.size(str(log)) <= LIMITS.max_size * LIMITS.max_files
    found = numbers(log)
    assert found == list(range(found[0], writer.count))
    assert log_files.size(str(log)) > LIMITS.max_size


def test_one_file_keeps_only_what_is_being_written(log: Path, writer: Writer) -> None:
    writer.write(5)
    writer.change()
    log_files.tend(str(log), LogLimits(max_size=4096, max_files=1))
    writer.write(2)
    assert numbers(log) == [5, 6]


def test_a_log_of_a_version_without_numbers_is_taken_over(log: Path) -> None:
    log.parent.mkdir()
    with contextlib.closing(Writer(log)) as writer:
        writer.write(3)
        log_files.tend(str(log), LIMITS)
        writer.change()
        writer.write(3)
    assert numbers(log) == list(range(6))


def test_a_file_of_conmon_s_own_making_gets_its_number_in_order(log: Path, writer: Writer) -> None:
    """Twice in a row without a look of ours: the second time the next file was not ready."""
    for _ in range(3):
        writer.write(3)
        writer.change()
    writer.write(3)
    log_files.tend(str(log), LIMITS)
    writer.change()
    writer.write(3)
    log_files.tend(str(log), LIMITS)
    # the third file had neither a number nor a successor that was ready: it is gone, with its lines
    assert numbers(log) == [0, 1, 2, 3, 4, 5, *range(9, 15)]


STEPS = st.lists(st.sampled_from(["write", "write", "change", "tend", "mark"]), max_size=40)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, tail=st.integers(0, 30))
def test_what_is_read_is_the_unbroken_end_of_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str], tail: int
) -> None:
    """As long as we look once between two changes."""
    log = tmp_path_factory.mktemp("logs") / "log"
    log_files.tend(str(log), LIMITS)
    writer = Writer(log)
    changed = 0
    for step in steps:
        if step == "write":
            writer.write()
        elif step == "mark":
            log_files._mark(str(log), "abc")
        elif step == "change" and changed < 1:
            writer.change()
            changed += 1
        elif step == "tend":
            log_files.tend(str(log), LIMITS)
            changed = 0
    writer.close()
    found = numbers(log)
    assert found == list(range(writer.count))[len(range(writer.count)) - len(found) :]
    assert numbers(log, LogQuery(tail=tail)) == found[max(0, len(found) - tail) :]


def test_what_conmon_left_too_large_is_put_away_without_it(log: Path, writer: Writer, tmp_path: Path) -> None:
    """By the keeper when conmon has ended, and before the next run."""
    control = tmp_path / "ctl"
    writer.write(400)
    assert not log_files.ask(str(log), str(control))
    os.mkfifo(control)
    assert log_files.ask(str(log), str(control))
    log_files.tend(str(log), LIMITS)
    assert log_files.size(str(log)) <= LIMITS.max_size * LIMITS.max_files
    assert numbers(log)[-1] == 399
    with contextlib.closing(Writer(log)) as another:
        another.count = 400
        another.write(400)
    log_files.begin(str(log), LIMITS, "abc")
    assert log.stat().st_size < 100
    assert numbers(log)[-1] == 799


VICTIM = """
import sys
from reconciler.drivers.exec import log_files
from reconciler.drivers.exec.base import LogLimits
log_files.tend(sys.argv[1], LogLimits(max_size=4096, max_files=3))
"""
POINTS = [f"exec.log.{name}.after" for name in ("number", "create", "next", "cut", "remove")]


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_any_point_of_a_look(log: Path, writer: Writer, point: str) -> None:
    writer.write(50)
    writer.change()
    log_files.tend(str(log), LIMITS)
    writer.write(400)
    writer.change()
    writer.write(5)
    done = subprocess.run(
        [sys.executable, "-c", VICTIM, str(log)],
        env={**os.environ, "PYDOCK_FAILPOINT": point, "PYTHONPATH": os.getcwd()},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    writer.change()
    writer.write(5)
    log_files.tend(str(log), LIMITS)
    found = numbers(log)
    assert found == list(range(found[0], writer.count))
    assert len(found) > 10
    assert log_files.size(str(log)) <= LIMITS.max_size * LIMITS.max_files
    assert not os.path.exists(f"{log}.cut")


def test_following_across_changes_sees_each_line_once(log: Path, writer: Writer, stop: Never) -> None:
    lines = logs.lines(str(log), LogQuery(follow=True), stop)
    seen = []
    for _ in range(6):
        writer.write(4)
        writer.change()
        writer.write(1)
        log_files.tend(str(log), LIMITS)
        seen += [int(next(lines).text.removeprefix(b"line ")) for _ in range(5)]
    assert seen == list(range(30))


def test_a_reader_of_a_file_that_is_cut_reads_on(log: Path, writer: Writer, stop: Never) -> None:
    lines = logs.lines(str(log), LogQuery(follow=True), stop)
    writer.write(1000)
    assert next(lines).text == b"line 0"
    writer.change()
    log_files.tend(str(log), LIMITS)
    writer.write(1)
    assert [next(lines).text for _ in range(1000)] == [f"line {number}".encode() for number in range(1, 1001)]


def test_a_torn_record_does_not_swallow_a_mark(log: Path, writer: Writer) -> None:
    writer.write(1)
    with open(log, "ab") as file:
        file.write(TIME.encode() + b" stdout F to")
    log_files.begin(str(log), LIMITS, "abc")
    found = list(logs.lines(str(log), LogQuery(), io.BytesIO()))
    assert [(line.stream, line.text) for line in found][-1] == ("run", b"abc")


class Conmon:
    """Changes files when it is told to through its FIFO."""

    def __init__(self, writer: Writer, control: Path) -> None:
        self.writer = writer
        os.mkfifo(control)
        self._fifo = os.open(control, os.O_RDWR)
        self.asked = 0

    def obey(self) -> None:
        assert os.read(self._fifo, 100) == b"2 0 0\n"
        self.asked += 1
        self.writer.change()

    def close(self) -> None:
        os.close(self._fifo)


def test_the_keeper_asks_once_for_each_full_file_and_sleeps_between(
    log: Path, writer: Writer, stop: Never, tmp_path: Path
) -> None:
    conmon = Conmon(writer, tmp_path / "ctl")
    keeper = log_keeper.Keeper(LIMITS)
    keeper.begin("one", str(log), str(tmp_path / "ctl"))
    thread = threading.Thread(target=keeper.run, args=(stop,))
    thread.start()
    try:
        for _ in range(5):
            writer.write(LIMITS.max_size // 50)
            conmon.obey()
            until(lambda: os.path.exists(f"{log}.tmp"), 5.0, "the next file to be ready")
        until(lambda: keeper._patience() is None, 5.0, "the log to be watched only")
    finally:
        stop.stop()
        thread.join(5.0)
        conmon.close()
    assert conmon.asked == 5
    found = numbers(log)
    assert found == list(range(found[0], writer.count))
    assert log_files.size(str(log)) <= LIMITS.max_size * (LIMITS.max_files + 1)
