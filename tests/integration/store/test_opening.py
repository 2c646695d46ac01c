"""Opening a database: who may, what is refused, and that a refused one is left as it was."""

from __future__ import annotations

import contextlib
import random
import shutil
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler import errors
from reconciler.store import connections, open_store, schema
from reconciler.store.base import Store
from reconciler.testing.store_samples import create, running


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "root" / "state.db"


def _fill(store: Store, count: int = 3) -> list[dict[str, object]]:
    """What is shown of some objects."""
    with store.transaction() as session:
        for number in range(count):
            uid = create(session, f"c{number}").uid
            session.observed.put(uid, running(uid))
        return [session.rendered(entry.desired.uid) for entry in session.entries()]


def _shown(path: Path) -> list[dict[str, object]]:
    store = open_store(path)
    try:
        with store.snapshot() as session:
            return [session.rendered(entry.desired.uid) for entry in session.entries()]
    finally:
        store.close()


def _shown_or_refusal(path: Path) -> list[dict[str, object]] | str:
    try:
        return _shown(path)
    except errors.Permanent as error:
        return str(error)


def _crash_copy(path: Path, to: Path) -> Path:
    """The files as a killed process would leave them."""
    to.mkdir()
    for name in ("state.db", "state.db-wal", "state.db.lock"):
        shutil.copy(path.with_name(name), to / name)
    return to / "state.db"


def _contents(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.parent.iterdir() if not file.name.endswith("-shm")}


def _refused(path: Path, match: str) -> None:
    """Opening fails for good with a sentence, and changes no byte."""
    before = _contents(path)
    with pytest.raises(errors.Permanent, match=match) as caught:
        open_store(path)
    assert str(path) in str(caught.value)
    after = _contents(path)
    after.setdefault(path.name + ".lock", b"")
    before.setdefault(path.name + ".lock", b"")
    assert after == before


def test_state_is_for_its_owner_alone(path: Path) -> None:
    store = open_store(path)
    _fill(store)
    files = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert files == dict.fromkeys(("state.db", "state.db-wal", "state.db-shm", "state.db.lock"), 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    store.close()


def test_a_file_with_wider_rights_is_narrowed(path: Path) -> None:
    open_store(path).close()
    path.chmod(0o644)
    open_store(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_everything_is_there_after_closing_and_opening(path: Path) -> None:
    store = open_store(path)
    shown = _fill(store)
    store.close()
    assert sorted(file.name for file in path.parent.iterdir()) == ["state.db", "state.db.lock"]
    assert _shown(path) == shown


def test_everything_is_there_after_a_crash(path: Path, tmp_path: Path) -> None:
    store = open_store(path)
    shown = _fill(store)
    copy = _crash_copy(path, tmp_path / "copy")
    store.close()
    assert _shown(copy) == shown


def test_a_second_opener_is_refused_naming_the_first(path: Path) -> None:
    store = open_store(path)
    with pytest.raises(errors.Permanent, match=r"in use by process \d+"):
        open_store(path)
    code = "import sys; from reconciler.store import open_store; open_store(sys.argv[1])"
    other = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert "is in use by process" in other.stderr
    _fill(store)
    store.close()
    assert len(_shown(path)) == 3


def test_opening_needs_no_alembic(path: Path) -> None:
    code = (
        "import sys; from reconciler.store import open_store; open_store(sys.argv[1]).close();"
        "open_store(sys.argv[1]).close(); assert 'sqlalchemy' in sys.modules; assert 'alembic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)


def test_importing_the_package_needs_no_sqlalchemy() -> None:
    code = "import sys, reconciler.store; assert 'sqlalchemy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_newer_schema_is_refused(path: Path) -> None:
    open_store(path).close()
    with sqlite3.connect(path) as driver:
        driver.execute("UPDATE alembic_version SET version_num = '0999'")
    driver.close()
    _refused(path, r"newer pydock \(schema 0999, this one knows up to " + schema.CURRENT)


def test_text_is_no_database(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("not a database\n" * 100)
    _refused(path, "not an SQLite database")


def test_another_programs_database_is_refused(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as driver:
        driver.execute("CREATE TABLE bookmarks (url TEXT)")
    driver.close()
    _refused(path, "not pydock's")


@pytest.mark.parametrize("kept", [0, 1, 15, 100, 4096, 10_000, 40_000, -4096, -1])
def test_a_truncated_database_is_refused(path: Path, kept: int) -> None:
    store = open_store(path)
    _fill(store, 30)
    store.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(kept if kept >= 0 else size + kept)
    _refused(path, "damaged|empty or missing|not an SQLite database|lost its tables")


def test_a_missing_database_is_not_made_anew_by_itself(path: Path) -> None:
    open_store(path).close()
    path.unlink()
    _refused(path, "empty or missing")
    path.with_name("state.db.lock").unlink()
    assert _shown(path) == []


@pytest.mark.parametrize("damage", ["gone", "empty", "cut"])
def test_a_lost_log_is_noticed(path: Path, tmp_path: Path, damage: str) -> None:
    store = open_store(path)
    _fill(store)
    store.checkpoint()
    with store.transaction() as session:
        create(session, "acknowledged")
    copy = _crash_copy(path, tmp_path / "copy")
    store.close()
    log = copy.with_name("state.db-wal")
    if damage == "gone":
        log.unlink()
    else:
        with log.open("r+b") as file:
            file.truncate(0 if damage == "empty" else 32)
    _refused(copy, r"revision 6, but 7 was acknowledged.*state\.db-wal is missing or cut")
    copy.with_name("state.db.lock").unlink()
    assert len(_shown(copy)) == 3


def test_a_log_that_somebody_else_wrote_back_is_no_loss(path: Path, tmp_path: Path) -> None:
    store = open_store(path)
    shown = _fill(store)
    copy = _crash_copy(path, tmp_path / "copy")
    store.close()
    driver = sqlite3.connect(copy)
    assert driver.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    driver.close()
    assert not copy.with_name("state.db-wal").exists()
    assert _shown(copy) == shown


def test_an_older_copy_is_refused(path: Path, tmp_path: Path) -> None:
    store = open_store(path)
    _fill(store)
    store.close()
    shutil.copy(path, tmp_path / "old")
    store = open_store(path)
    with store.transaction() as session:
        create(session, "newer")
    store.close()
    shutil.copy(tmp_path / "old", path)
    _refused(path, "newest changes are lost")


def test_a_changed_value_is_noticed_that_sqlite_does_not_see(path: Path) -> None:
    store = open_store(path)
    _fill(store)
    store.close()
    content = path.read_bytes()
    at = content.index(b'"GREETING"')
    path.write_bytes(content[:at] + b'"GREETINg"' + content[at + 10 :])
    _refused(path, "is damaged.*is not what was written")


def test_a_value_that_is_no_text_of_ours_any_more_is_told_as_damage(path: Path) -> None:
    store = open_store(path)
    _fill(store)
    store.close()
    content = path.read_bytes()
    at = content.index(b'"GREETING"')
    path.write_bytes(content[:at] + b'"GREETINGS' + content[at + 10 :])
    _refused(path, r"is damaged \(malformed JSON\)")


def test_a_text_that_became_bytes_is_told_as_damage(path: Path) -> None:
    store = open_store(path)
    _fill(store)
    store.close()
    with contextlib.closing(sqlite3.connect(path)) as driver, driver:
        driver.execute("UPDATE objects SET body = CAST(body AS BLOB)")
    _refused(path, "is damaged.*is not what was written")


def test_a_flipped_bit_is_refused_or_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # in free pages a bit changes nothing
    monkeypatch.setattr(connections, "RESERVED_PAGES", 0)
    store = open_store(path)
    shown = _fill(store, 40)
    store.close()
    whole, lock = path.read_bytes(), path.with_name("state.db.lock").read_bytes()
    chance = random.Random(7)
    refused = 0
    for _ in range(150):
        at, bit = chance.randrange(len(whole)), 1 << chance.randrange(8)
        path.write_bytes(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])
        path.with_name("state.db.lock").write_bytes(lock)
        found = _shown_or_refusal(path)
        assert found == shown or str(path) in str(found)
        refused += found != shown
    assert refused > 30


def test_a_log_that_was_not_written_back_is_kept_when_opening_is_refused(path: Path, tmp_path: Path) -> None:
    store = open_store(path)
    _fill(store, 30)
    store.checkpoint()
    with store.transaction() as session:
        create(session, "in-the-log")
    copy = _crash_copy(path, tmp_path / "copy")
    store.close()
    content = bytearray(copy.read_bytes())
    content[4096 * 5 : 4096 * 6] = bytes(4096)
    copy.write_bytes(content)
    _refused(copy, "damaged")


def test_a_lock_file_that_is_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    victim = tmp_path / "victim"
    victim.write_text("keep me")
    path.with_name("state.db.lock").symlink_to(victim)
    with pytest.raises(errors.Permanent, match="cannot be opened"):
        open_store(path)
    assert victim.read_text() == "keep me"
