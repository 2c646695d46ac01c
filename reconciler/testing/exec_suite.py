"""What every exec driver must do: a test class that a driver's tests subclass, giving the ``bench`` fixture."""

from __future__ import annotations

import os
import signal
from datetime import datetime
from typing import Any, Protocol

import pytest

from reconciler.drivers.exec import base
from reconciler.errors import Conflict, NotFound, Permanent
from reconciler.testing.wait import until

SLEEP = ("sleep", "1000")
SPEAK = ("sh", "-c", "echo out one; echo err one >&2; printf tail; exit 0")


class Bench(Protocol):
    """A driver under test and the outer world around it."""

    def open(self) -> base.ExecDriver:
        """A driver object over the same directories, new at each call."""

    def config(self, id: str, *argv: str, **changes: Any) -> base.ContainerConfig:
        """A container that runs ``argv``; equal ids get equal log paths."""

    def kill_conmon(self, id: str) -> None: ...

    def remove_behind_our_back(self, id: str) -> None:
        """As ``runc delete --force`` by hand does."""


class Never:
    """A ``LogStop`` that never stops."""

    def __init__(self) -> None:
        self._pipe = os.pipe()

    def fileno(self) -> int:
        return self._pipe[0]

    def stop(self) -> None:
        os.write(self._pipe[1], b"x")

    def close(self) -> None:
        for fd in self._pipe:
            os.close(fd)


@pytest.fixture
def stop() -> Any:
    never = Never()
    yield never
    never.close()


def ended(driver: base.ExecDriver, id: str) -> base.ProcessFacts:
    """Waits for the end of a run."""

    def look() -> base.ProcessFacts | None:
        facts = driver.inspect(id)
        return facts if facts.status == "exited" else None

    found = until(look, 10.0, f"{id} to end")
    assert found is not None
    return found


def run(bench: Bench, driver: base.ExecDriver, id: str, *argv: str, **changes: Any) -> base.ContainerConfig:
    config = bench.config(id, *argv, **changes)
    driver.create(config)
    driver.start(id)
    return config


def said(
    driver: base.ExecDriver, config: base.ContainerConfig, stop: Any, query: base.LogQuery | None = None
) -> list[base.LogLine]:
    """The lines that a container wrote, without the marks."""
    found = driver.log_lines(config.log_path, query or base.LogQuery(), stop)
    return [line for line in found if line.stream != "run"]


class ExecSuite:
    """Subclass it in a test module and give a ``bench`` fixture."""

    def test_nothing_is_known_of_a_new_id(self, bench: Bench) -> None:
        driver = bench.open()
        assert driver.inspect("one").status == "absent"
        assert driver.list() == ()
        assert driver.conmon_process("one") is None
        assert driver.limits("one") is None
        assert driver.limit_files("one") == ()

    def test_a_created_process_waits_for_its_start(self, bench: Bench) -> None:
        driver = bench.open()
        created = driver.create(bench.config("one", *SLEEP))
        assert (created.status, created.supervised) == ("created", True)
        assert created.pid > 0
        assert created.pid_start > 0
        assert driver.inspect("one") == created
        assert driver.list() == ("one",)
        started = driver.start("one")
        assert (started.status, started.pid, started.pid_start) == ("running", created.pid, created.pid_start)
        assert started.started_at > 0
        assert driver.inspect("one") == started

    def test_a_second_start_has_no_effect(self, bench: Bench) -> None:
        driver = bench.open()
        run(bench, driver, "one", *SLEEP)
        assert driver.start("one") == driver.inspect("one")
        driver.signal("one", signal.SIGKILL)
        ended(driver, "one")
        assert driver.start("one").status == "exited"

    def test_nothing_starts_that_was_not_created(self, bench: Bench) -> None:
        with pytest.raises(NotFound):
            bench.open().start("one")

    @pytest.mark.parametrize("code", [0, 3, 127])
    def test_the_exit_code_is_recorded(self, bench: Bench, code: int) -> None:
        driver = bench.open()
        run(bench, driver, "one", "sh", "-c", f"exit {code}")
        facts = ended(driver, "one")
        assert (facts.exit_code, facts.exit_reason, facts.signal) == (code, "exited", 0)
        assert facts.finished_at >= facts.started_at > 0

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGKILL.value])
    def test_a_signal_is_told_from_an_exit(self, bench: Bench, number: int) -> None:
        driver = bench.open()
        run(bench, driver, "one", *SLEEP)
        driver.signal("one", number)
        facts = ended(driver, "one")
        assert (facts.exit_code, facts.exit_reason, facts.signal) == (137, "signal", 9)

    def test_signals_to_what_is_gone_are_harmless(self, bench: Bench) -> None:
        driver = bench.open()
        driver.signal("one", signal.SIGTERM)
        run(bench, driver, "one", "sh", "-c", "exit 0")
        facts = ended(driver, "one")
        driver.signal("one", signal.SIGTERM)
        assert driver.inspect("one") == facts

    def test_delete_ends_and_removes_all(self, bench: Bench) -> None:
        driver = bench.open()
        run(bench, driver, "one", *SLEEP)
        run(bench, driver, "two", *SLEEP)
        other = driver.inspect("two")
        driver.delete("one")
        assert driver.inspect("one").status == "absent"
        assert driver.list() == ("two",)
        assert driver.inspect("two") == other

    def test_delete_works_from_every_state_and_twice(self, bench: Bench) -> None:
        driver = bench.open()
        driver.delete("one")
        driver.create(bench.config("one", *SLEEP))
        driver.delete("one")
        run(bench, driver, "one", "sh", "-c", "exit 1")
        ended(driver, "one")
        driver.delete("one")
        driver.delete("one")
        assert driver.list() == ()

    def test_the_next_run_of_the_same_id(self, bench: Bench, stop: Never) -> None:
        driver = bench.open()
        run(bench, driver, "one", "sh", "-c", "echo first; exit 7")
        assert ended(driver, "one").exit_code == 7
        config = bench.config("one", "sh", "-c", "echo second; exit 8")
        assert driver.create(config).status == "created"
        driver.start("one")
        assert ended(driver, "one").exit_code == 8
        lines = [line.text for line in said(driver, config, stop)]
        assert lines == [b"first", b"second"]

    def test_create_replaces_what_was_never_started(self, bench: Bench) -> None:
        driver = bench.open()
        first = driver.create(bench.config("one", *SLEEP))
        second = driver.create(bench.config("one", *SLEEP))
        assert second.status == "created"
        assert (second.pid, second.pid_start) != (first.pid, first.pid_start)

    def test_create_leaves_a_running_process_alone(self, bench: Bench) -> None:
        driver = bench.open()
        run(bench, driver, "one", *SLEEP)
        before = driver.inspect("one")
        with pytest.raises(Conflict):
            driver.create(bench.config("one", *SLEEP))
        assert driver.inspect("one") == before

    def test_a_new_driver_object_sees_the_same(self, bench: Bench) -> None:
        driver = bench.open()
        run(bench, driver, "running", *SLEEP)
        driver.create(bench.config("created", *SLEEP))
        run(bench, driver, "exited", "sh", "-c", "exit 5")
        facts = ended(driver, "exited")
        other = bench.open()
        assert other.list() == ("created", "exited", "running")
        assert other.inspect("running") == driver.inspect("running")
        assert other.inspect("created") == driver.inspect("created")
        assert other.inspect("exited") == facts
        assert other.conmon_process("running") == driver.conmon_process("running")
        assert other.start("created").status == "running"

    def test_a_container_without_its_supervisor_runs_on(self, bench: Bench) -> None:
        driver = bench.open()
        run(bench, driver, "one", *SLEEP)
        before = driver.inspect("one")
        assert driver.conmon_process("one") is not None
        bench.kill_conmon("one")
        facts = driver.inspect("one")
        assert (facts.status, facts.pid, facts.supervised) == ("running", before.pid, False)
        assert driver.conmon_process("one") is None
        driver.signal("one", signal.SIGKILL)
        facts = ended(driver, "one")
        assert (facts.exit_code, facts.exit_reason) == (None, "unknown")
        driver.delete("one")
        assert driver.list() == ()

    def test_a_container_deleted_behind_our_back_can_be_made_again(self, bench: Bench) -> None:
        driver = bench.open()
        run(bench, driver, "one", *SLEEP)
        bench.remove_behind_our_back("one")
        until(lambda: driver.inspect("one").status in ("absent", "exited"), 5.0, "the loss to be seen")
        driver.create(bench.config("one", *SLEEP))
        assert driver.start("one").status == "running"

    def test_a_command_that_is_missing(self, bench: Bench) -> None:
        driver = bench.open()
        with pytest.raises(Permanent, match=r"(?i)no such file or directory"):
            driver.create(bench.config("one", "/missing/program"))
        assert driver.inspect("one").status == "absent"
        assert driver.list() == ()

    def test_a_user_that_is_missing(self, bench: Bench) -> None:
        driver = bench.open()
        with pytest.raises(Permanent, match="nobody-knows"):
            driver.create(bench.config("one", *SLEEP, user="nobody-knows-him"))
        assert driver.list() == ()

    def test_limits_are_in_force_and_change_in_place(self, bench: Bench) -> None:
        driver = bench.open()
        first = base.Limits(cpu_millis=500, memory=64 << 20, pids=50)
        run(bench, driver, "one", *SLEEP, limits=first)
        before = driver.inspect("one")
        assert driver.limits("one") == first
        assert driver.limit_files("one")
        for wanted in (
            base.Limits(cpu_millis=1500, memory=128 << 20, pids=60),
            base.Limits(cpu_millis=5, memory=(32 << 20) + 1, pids=40),
            base.Limits(),
            base.Limits(cpu_millis=250, memory=0, pids=4096),
        ):
            driver.set_limits("one", wanted)
            found = driver.limits("one")
            assert found is not None
            assert driver.limits_match(wanted, found), (wanted, found)
            assert not driver.limits_match(base.Limits(cpu_millis=777, memory=1 << 20, pids=7), found)
        assert driver.inspect("one") == before

    def test_limits_of_what_does_not_run(self, bench: Bench) -> None:
        with pytest.raises(NotFound):
            bench.open().set_limits("one", base.Limits(pids=5))

    def test_the_log(self, bench: Bench, stop: Never) -> None:
        driver = bench.open()
        config = run(bench, driver, "one", *SPEAK)
        ended(driver, "one")
        lines = said(driver, config, stop)
        assert sorted((line.stream, line.text, line.partial) for line in lines if line.stream == "stderr") == [
            ("stderr", b"err one", False)
        ]
        assert [(line.text, line.partial) for line in lines if line.stream == "stdout"] == [
            (b"out one", False),
            (b"tail", True),
        ]
        assert all(line.time.startswith("20") for line in lines)

    def test_the_end_of_a_log(self, bench: Bench, stop: Never) -> None:
        driver = bench.open()
        config = run(bench, driver, "one", "sh", "-c", "echo one; echo two; echo three; printf four; exit 0")
        ended(driver, "one")
        lines = said(driver, config, stop)
        assert [line.text for line in lines] == [b"one", b"two", b"three", b"four"]
        for count in range(6):
            found = driver.log_lines(config.log_path, base.LogQuery(tail=count), stop)
            assert [line for line in found if line.stream != "run"] == lines[max(0, 4 - count) :]

    def test_a_log_that_does_not_exist_is_empty(self, bench: Bench, stop: Never) -> None:
        driver = bench.open()
        config = bench.config("never", *SLEEP)
        assert list(driver.log_lines(config.log_path, base.LogQuery(), stop)) == []
        assert driver.log_size(config.log_path) == 0

    def test_following_a_log(self, bench: Bench, stop: Never) -> None:
        driver = bench.open()
        config = bench.config("one", "sh", "-c", "echo first; exit 0")
        every = driver.log_lines(config.log_path, base.LogQuery(follow=True), stop)
        following = (line for line in every if line.stream != "run")
        driver.create(config)
        driver.start("one")
        assert next(following).text == b"first"
        ended(driver, "one")
        driver.create(bench.config("one", "sh", "-c", "echo second; exit 0"))
        driver.start("one")
        assert next(following).text == b"second"
        stop.stop()
        assert list(following) == []

    def test_marks_tell_where_each_run_begins(self, bench: Bench, stop: Never) -> None:
        driver = bench.open()
        path = ""
        for id, word in (("one", "first"), ("one", "second"), ("two", "third")):
            config = bench.config(id, "sh", "-c", f"echo {word}; exit 0", log_path=path or bench.config("one").log_path)
            path = config.log_path
            driver.create(config)
            driver.start(id)
            ended(driver, id)
        lines = list(driver.log_lines(path, base.LogQuery(), stop))
        assert [(line.stream, line.text) for line in lines] == [
            ("run", b"one"),
            ("stdout", b"first"),
            ("run", b"one"),
            ("stdout", b"second"),
            ("run", b"two"),
            ("stdout", b"third"),
        ]
        assert driver.log_size(path) > 0

    def test_the_lines_of_the_run_before_the_latest(self, bench: Bench, stop: Never) -> None:
        driver = bench.open()
        for word in ("first", "second", "third"):
            config = run(bench, driver, "one", "sh", "-c", f"echo {word}; echo more; exit 0")
            ended(driver, "one")
        found = said(driver, config, stop, base.LogQuery(previous=True))
        assert [line.text for line in found] == [b"second", b"more"]
        found = said(driver, config, stop, base.LogQuery(previous=True, tail=1))
        assert [line.text for line in found] == [b"more"]

    def test_lines_since_a_moment(self, bench: Bench, stop: Never) -> None:
        driver = bench.open()
        config = run(bench, driver, "one", "sh", "-c", "echo first; exit 0")
        ended(driver, "one")
        run(bench, driver, "one", "sh", "-c", "echo second; exit 0")
        ended(driver, "one")
        moment = datetime.fromisoformat(said(driver, config, stop)[1].time).timestamp()
        found = said(driver, config, stop, base.LogQuery(since=moment))
        assert [line.text for line in found] == [b"second"]
        assert said(driver, config, stop, base.LogQuery(since=moment + 3600)) == []

    def test_keeping_logs_ends_when_it_is_told_to(self, bench: Bench, stop: Never) -> None:
        driver = bench.open()
        run(bench, driver, "one", *SLEEP)
        stop.stop()
        driver.keep_logs(stop)
