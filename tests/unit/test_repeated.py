"""Equal log lines are told once in a while, and their traceback once."""

from __future__ import annotations

import logging

import pytest

from reconciler import repeated


def test_equal_warnings_are_told_once_in_a_while(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("reconciler.repeated.time.monotonic", lambda: now[0])
    lines, log = repeated.Repeated(), logging.getLogger("pydock.test")
    for _ in range(1330):
        lines.warn(log, "the disk is full")
        lines.warn(log, "another matter")
    now[0] += repeated.PAUSE
    lines.warn(log, "the disk is full")
    assert [record.getMessage() for record in caplog.records] == [
        "the disk is full", "another matter", "the disk is full (1329 more times in the last 60 s)"
    ]  # fmt: skip


def test_an_equal_internal_error_has_its_traceback_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("reconciler.repeated.time.monotonic", lambda: now[0])
    lines, log = repeated.Repeated(), logging.getLogger("pydock.test")
    for _ in range(3):
        now[0] += repeated.PAUSE
        try:
            raise ValueError("odd")
        except ValueError as error:
            lines.internal(log, "internal error", error)
    assert [bool(record.exc_info) for record in caplog.records] == [True, False, False]


def test_lines_that_never_come_again_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    lines, log = repeated.Repeated(), logging.getLogger("pydock.test")
    for number in range(5000):
        lines.warn(log, f"line {number}")
    assert len(lines._told) <= 1000
