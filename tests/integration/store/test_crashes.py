"""Killed writers, full, failing and locked disks: what was acknowledged is there, what failed is not."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler import errors
from reconciler.store import connections, open_store
from reconciler.store.base import Store
from reconciler.testing import disks
from reconciler.testing.store_samples import create, running

_CHILD = [sys.executable, "-m", "reconciler.testing.store_child"]


def _kill_at(path: Path, lines: int, mode: str) -> list[str]:
    """Runs a writer, kills it somewhere after it said ``lines`` lines, and returns all that it said."""
    child = subprocess.Popen([*_CHILD, str(path), mode], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    try:
        said = [child.stdout.readline().strip() for _ in range(lines)]
    finally:
        child.kill()
    said += [line.strip() for line in child.stdout if line.endswith("\n")]
    child.stdout.close()
    child.wait()
    return said


def _check(store: Store, acknowledged: list[str]) -> None:
    """Every object is at least as far as it was acknowledged; at most the last step of a writer may be unsaid."""
    reached: dict[str, str] = {}
    for line in acknowledged:
        name, _, step = line.partition(" ")
        reached[name] = step
    with store.snapshot() as session:
        present = {entry.desired.key.name: entry for entry in session.entries()}
        changes = session.changes.since(0, 100_000)
        latest = session.changes.latest()
    assert [change.revision for change in changes] == list(range(1, latest + 1))
    removed = {change.object["metadata"]["name"] for change in changes if change.type == "DELETED"}
    for name, step in reached.items():
        assert name in present or name in removed, (name, step)
        if step == "purged":
            assert name not in present
        elif step == "observed" and name in present:
            assert present[name].observed == running(present[name].desired.uid)


@pytest.mark.parametrize("mode", ["durable", "mixed"])
def test_a_killed_writer_loses_nothing_that_it_acknowledged(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "state.db"
    chance = random.Random(mode)
    acknowledged: list[str] = []
    for _ in range(10):
        said = _kill_at(path, chance.randrange(1, 80), mode)
        assert said[0] == "open"
        acknowledged += said[1:]
    driver = sqlite3.connect(path)
    assert driver.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    driver.close()
    store = open_store(path)
    _check(store, acknowledged)
    store.close()
    assert len(acknowledged) > 100


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MiB."""
    with disks.small(tmp_path / "disk", 16) as disk:
        yield disk


def _fill_up(disk: Path) -> Path:
    """Takes all the room that is left; the file to remove to have it again."""
    ballast = disk / "ballast"
    with pytest.raises(OSError, match="No space left"):
        ballast.write_bytes(bytes(17 * 1024 * 1024))
    return ballast


def test_a_full_disk_fails_the_change_and_nothing_else(small_disk: Path) -> None:
    store = open_store(small_disk / "state.db")
    with store.transaction() as session:
        uid = create(session, "first").uid
    ballast = _fill_up(small_disk)
    with pytest.raises(errors.Temporary, match=r"the disk that holds .*state\.db is full: free some space"):
        _create_many(store, 10_000)
    with store.snapshot() as session:
        assert [entry.desired.uid for entry in session.entries()] == [uid]
        assert session.changes.latest() == 1
    ballast.unlink()
    with store.transaction() as session:
        assert create(session, "second").revision == 2
    store.close()
    store = open_store(small_disk / "state.db")
    with store.snapshot() as session:
        assert [entry.desired.key.name for entry in session.entries()] == ["first", "second"]
    store.close()


def _create_many(store: Store, count: int) -> None:
    with store.transaction() as session:
        for number in range(count):
            create(session, f"many{number}")


def test_a_full_disk_lets_everything_be_read_and_removed(small_disk: Path) -> None:
    store = open_store(small_disk / "state.db")
    _create_many(store, 100)
    store.checkpoint()
    ballast = _fill_up(small_disk)
    with store.snapshot() as session:
        uids = [entry.desired.uid for entry in session.entries()]
    for uid in uids:
        with store.transaction() as session:
            session.objects.mark_deleting(uid, 1.0)
        with store.transaction() as session:
            session.objects.purge(uid)
    with store.snapshot() as session:
        assert session.entries() == []
        assert session.changes.latest() == 300
    ballast.unlink()
    store.close()


def test_a_disk_without_room_for_a_new_database_says_so(small_disk: Path) -> None:
    ballast = _fill_up(small_disk)
    with pytest.raises(errors.Temporary, match=r"state\.db"):
        open_store(small_disk / "state.db")
    ballast.unlink()
    open_store(small_disk / "state.db").close()


def test_a_file_locked_by_another_process_fails_the_change_for_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "BUSY_SECONDS", 0.1)
    store = open_store(tmp_path / "state.db")
    other = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(errors.Temporary, match=r"state\.db is locked by another process"):
        _create_many(store, 1)
    with store.snapshot() as session:
        assert session.entries() == []
    other.execute("ROLLBACK")
    _create_many(store, 1)
    other.close()
    store.close()


def test_a_failing_sync_is_not_acknowledged(tmp_path: Path) -> None:
    """The tenth and eleventh syncs of the writer fail, then the disk is well again."""
    path = tmp_path / "state.db"
    trace = ["strace", "-f", "-qq", "-o", str(tmp_path / "trace"), "-e", "inject=fdatasync:error=EIO:when=10..11"]
    child = subprocess.Popen([*trace, *_CHILD, str(path), "durable"], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    said = [child.stdout.readline().strip() for _ in range(80)]
    # the traced process is strace's only child: strace ends with it
    children = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
    subprocess.run(["kill", "-9", *children], check=True)
    said += [line.strip() for line in child.stdout if line.endswith("\n")]
    child.stdout.close()
    child.wait()
    failed = [line for line in said if line.startswith("failed")]
    assert failed
    assert "look at the disk; nothing of this change was kept" in failed[0]
    acknowledged = [line for line in said[1:] if not line.startswith("failed")]
    assert len(acknowledged) > 60
    store = open_store(path)
    _check(store, acknowledged)
    store.close()


def test_a_transaction_waits_for_the_one_before_it(tmp_path: Path) -> None:
    store = open_store(tmp_path / "state.db")
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with store.transaction() as session:
            create(session, "first")
            entered.set()
            leave.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    assert entered.wait(10)
    threading.Timer(0.05, leave.set).start()
    with store.transaction() as session:
        assert create(session, "second").revision == 2
    holder.join()
    store.close()


def test_a_long_log_is_cut_when_nobody_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "LARGE_LOG", 100_000)
    monkeypatch.setattr(connections, "RESERVED_LOG", 1)
    store = open_store(tmp_path / "state.db")
    log = tmp_path / "state.db-wal"
    _create_many(store, 50)
    assert log.stat().st_size > 100_000
    store.checkpoint()
    assert log.stat().st_size <= 1
    with store.snapshot() as session:
        assert len(session.entries()) == 50
    store.close()
