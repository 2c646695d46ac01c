"""conmon's log format, its end, and following it."""

from __future__ import annotations

import contextlib
import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reconciler.drivers.exec import logs
from reconciler.drivers.exec.base import LogLine, LogQuery
from reconciler.testing.exec_suite import Never, stop
from reconciler.testing.wait import until

__all__ = ["stop"]

TIME = "2026-01-02T03:04:05.678901234+00:00"


def text(*records: tuple[str, str, bytes]) -> bytes:
    return b"".join(f"{TIME} {stream} {tag} ".encode() + data + b"\n" for stream, tag, data in records)


def read(path: Path, tail: int | None = None) -> list[LogLine]:
    return list(logs.lines(str(path), LogQuery(tail=tail), io.BytesIO()))


def test_parsing() -> None:
    assert logs.parse(f"{TIME} stdout F a  b ".encode()) == (TIME, "stdout", True, b"a  b ")
    assert logs.parse(f"{TIME} stderr P ".encode()) == (TIME, "stderr", False, b"")
    for broken in (b"", b"x", b"a b c", b"a stdin F x", b"a stdout X x"):
        assert logs.parse(broken) is None


def test_pieces_are_joined_for_each_stream(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(
        text(
            ("stdout", "P", b"a"),
            ("stderr", "P", b"x"),
            ("stdout", "P", b"b"),
            ("stdout", "F", b"c"),
            ("stderr", "F", b"y"),
            ("stdout", "P", b"open"),
        )
    )
    assert [(line.stream, line.text, line.partial) for line in read(log)] == [
        ("stdout", b"abc", False),
        ("stderr", b"xy", False),
        ("stdout", b"open", True),
    ]


def test_what_is_no_record_is_passed_over(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"garbage\n\n" + text(("stdout", "F", b"good")) + b"\xff\xfe\n" + TIME.encode() + b" stdout F torn")
    assert [line.text for line in read(log)] == [b"good"]
    assert [line.text for line in read(log, 5)] == [b"good"]


def test_a_line_without_end_is_handed_out_in_bounded_parts(tmp_path: Path) -> None:
    log = tmp_path / "log"
    piece = ("stdout", "P", b"x" * 8192)
    log.write_bytes(text(*[piece] * 400))
    found = read(log)
    assert len(found) == 4
    assert all(line.partial and len(line.text) <= logs.MAX_LINE for line in found)
    assert sum(len(line.text) for line in found) == 400 * 8192


def test_a_line_of_endless_tiny_pieces_is_handed_out_too(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(text(*[("stdout", "P", b".")] * 40000))
    found = read(log)
    assert len(found) == 3
    assert sum(len(line.text) for line in found) == 40000


TEXTS = st.binary(max_size=12).filter(lambda data: b"\n" not in data)
RECORDS = st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.sampled_from("FFP"), TEXTS), max_size=30)


@example(records=[("stdout", "P", b""), ("stderr", "P", b""), ("stdout", "F", b"")], count=1, block=1)
@given(records=RECORDS, count=st.integers(0, 12), block=st.integers(1, 200))
def test_the_tail_is_the_end_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory, records: list[tuple[str, str, bytes]], count: int, block: int
) -> None:
    path = tmp_path_factory.mktemp("logs") / "log"
    path.write_bytes(text(*records))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs, "_BLOCK", block)
        whole, tail = read(path), read(path, count)
    finished = [line for line in whole if not line.partial]
    unfinished = [line for line in whole if line.partial]
    assert len(tail) == min(count, len(whole))
    shown = [line for line in tail if not line.partial]
    assert shown == finished[len(finished) - len(shown) :]
    assert all(line in unfinished for line in tail if line.partial)


def test_only_the_end_of_a_large_log_is_read(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(text(("stderr", "F", b"early"), *[("stdout", "F", b"y" * 90)] * 60000, ("stderr", "F", b"late")))
    with open(path, "rb") as file:
        start, boundary = logs.tail_position(file, 2, 0, path.stat().st_size)
    assert start == boundary
    assert os.path.getsize(path) - start < 400
    assert [line.text for line in read(path, 2)] == [b"y" * 90, b"late"]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def append(log: Path, *records: tuple[str, str, bytes]) -> None:
    with open(log, "ab") as file:
        file.write(text(*records))


def follow(log: Path, tail: int | None, stop: Never) -> Iterator[LogLine]:
    return logs.lines(str(log), LogQuery(tail=tail, follow=True), stop)


def test_following_from_the_tail_on(log: Path, stop: Never) -> None:
    append(log, ("stdout", "F", b"one"), ("stdout", "F", b"two"))
    lines = follow(log, 1, stop)
    assert next(lines).text == b"two"
    append(log, ("stdout", "P", b"th"))
    append(log, ("stdout", "F", b"ree"))
    assert next(lines).text == b"three"
    append(log, ("stdout", "P", b"open"))
    stop.stop()
    assert [(line.text, line.partial) for line in lines] == [(b"open", True)]


def test_following_a_log_that_is_not_there_yet(log: Path, stop: Never) -> None:
    found: list[LogLine] = []
    reader = threading.Thread(target=lambda: found.append(next(follow(log, None, stop))))
    reader.start()

    def written_and_read() -> bool:
        append(log, ("stdout", "F", b"first"))
        return not reader.is_alive()

    until(written_and_read, 10.0, "the log to be noticed")
    assert found[0].text == b"first"


def test_following_goes_on_in_the_file_that_takes_the_place(log: Path, stop: Never) -> None:
    append(log, ("stdout", "F", b"one"))
    lines = follow(log, None, stop)
    assert next(lines).text == b"one"
    append(log, ("stdout", "F", b"two"))
    log.rename(log.with_name("log.1"))
    append(log, ("stdout", "F", b"three"))
    assert next(lines).text == b"two"
    assert next(lines).text == b"three"


def test_following_a_truncated_log_starts_again(log: Path, stop: Never) -> None:
    append(log, ("stdout", "F", b"a long first line"))
    lines = follow(log, None, stop)
    assert next(lines).text == b"a long first line"
    log.write_bytes(text(("stdout", "F", b"new")))
    assert next(lines).text == b"new"


class Writing(Never):
    """A stop before which, at the last moment, something is written."""

    def __init__(self, log: Path) -> None:
        super().__init__()
        self._log = log
        self._stopped = False

    def stop(self) -> None:
        self._stopped = True
        super().stop()

    def fileno(self) -> int:
        if self._stopped:
            self._stopped = False
            append(self._log, ("stdout", "F", b"two"), ("stdout", "P", b"three"))
        return super().fileno()


def test_what_came_before_the_stop_is_read_to_its_end(log: Path) -> None:
    append(log, ("stdout", "F", b"one"))
    with contextlib.closing(Writing(log)) as stop:
        found = logs.lines(str(log), LogQuery(follow=True), stop)
        assert next(found).text == b"one"
        stop.stop()
        assert [(line.text, line.partial) for line in found] == [(b"two", False), (b"three", True)]


class Told(Never):
    """A stop that tells how often it was asked for its descriptor: once at the start, then at each waking."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def fileno(self) -> int:
        self.asked += 1
        return super().fileno()


def test_a_directory_that_goes_before_its_log_was_there_ends_with_the_stop(tmp_path: Path) -> None:
    (tmp_path / "uid").mkdir()
    path = str(tmp_path / "uid" / "log")
    found: list[list[LogLine]] = []
    with contextlib.closing(Told()) as stop:
        thread = threading.Thread(target=lambda: found.append(list(logs.lines(path, LogQuery(follow=True), stop))))
        thread.start()
        until(lambda: stop.asked, 10, "it to begin")
        (tmp_path / "uid" / "other").touch()
        until(lambda: stop.asked > 1, 10, "it to watch")
        (tmp_path / "uid" / "other").unlink()
        (tmp_path / "uid").rmdir()
        until(lambda: stop.asked > 2, 10, "it to have seen that")
        stop.stop()
        thread.join(10)
    assert found == [[]]
