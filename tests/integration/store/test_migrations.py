"""Migrations and the tables made directly end alike."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from reconciler.store import open_store, schema, tables, upgrade
from reconciler.store.sql import Link
from reconciler.testing import store_old, store_samples


def _link(path: Path) -> Link:
    return Link(sqlite3.connect(path, isolation_level=None), path, writable=True)


def _migrated(path: Path) -> Link:
    link = _link(path)
    upgrade.to_current(link)
    return link


def _shape(link: Link) -> dict[str, Any]:
    """Every table's columns and foreign keys and every index's columns and condition, as SQLite understands them."""
    names = link.control("SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master")
    tables_ = {name: _shape_of_table(link, name, sql) for type_, name, _, sql in names if type_ == "table"}
    indexes = {name: _shape_of_index(link, name, table, sql) for type_, name, table, sql in names if type_ == "index"}
    return {**tables_, **indexes}


def _shape_of_table(link: Link, name: str, sql: str) -> Any:
    columns = sorted(row[1:] for row in link.control(f"PRAGMA table_xinfo('{name}')"))
    return columns, link.control(f"PRAGMA foreign_key_list('{name}')"), "AUTOINCREMENT" in sql


def _shape_of_index(link: Link, name: str, table: str, sql: str) -> Any:
    columns = [row[2] for row in link.control(f"PRAGMA index_info('{name}')")]
    properties = [row[2:] for row in link.control(f"PRAGMA index_list('{table}')") if row[1] == name]
    return columns, properties, sql.partition(" WHERE ")[2]


def test_migrating_from_nothing_makes_the_same_tables(tmp_path: Path) -> None:
    migrated = _migrated(tmp_path / "migrated.db")
    direct = _link(tmp_path / "direct.db")
    schema.create(direct)
    assert _shape(migrated) == _shape(direct)
    assert "objects_live" in _shape(direct)
    assert schema.version(migrated) == schema.version(direct) == schema.CURRENT
    for link in (migrated, direct):
        link.driver.close()


def test_alembic_sees_no_difference_to_the_tables_of_the_code(tmp_path: Path) -> None:
    _migrated(tmp_path / "state.db").driver.close()
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'state.db'}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []
    engine.dispose()


def test_the_newest_migration_is_the_version_of_the_code() -> None:
    config = Config()
    config.set_main_option("script_location", "reconciler.store:migrations")
    assert ScriptDirectory.from_config(config).get_heads() == [schema.CURRENT]


def test_a_migrated_database_opens(tmp_path: Path) -> None:
    _migrated(tmp_path / "state.db").driver.close()
    store = open_store(tmp_path / "state.db")
    with store.snapshot() as session:
        assert session.changes.latest() == 0
    store.close()


def test_a_failing_migration_leaves_the_database_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = _link(tmp_path / "state.db")

    def fail(link: Link) -> None:
        raise RuntimeError("rows that refer to nothing")

    monkeypatch.setattr(upgrade, "_check", fail)
    with pytest.raises(RuntimeError, match="refer to nothing"):
        upgrade.to_current(link)
    assert not link.driver.in_transaction
    assert schema.version(link) == ""
    assert link.control("PRAGMA foreign_keys") == [(1,)]
    link.driver.close()


def test_a_database_of_the_first_version_is_told_truly(tmp_path: Path) -> None:
    """What the test below upgrades is what the first migration makes."""
    first = _link(tmp_path / "first.db")
    engine = sqlalchemy.create_engine(
        "sqlite://", creator=lambda: first.driver, poolclass=sqlalchemy.StaticPool, pool_reset_on_return=None
    )
    with engine.connect() as connection:
        config = Config()
        config.set_main_option("script_location", "reconciler.store:migrations")
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.commit()
    open_store(tmp_path / "state.db").close()
    store_old.first_version(tmp_path / "state.db")
    old = _link(tmp_path / "state.db")
    assert _shape(old) == _shape(first)
    assert schema.version(old) == "0001"
    for link in (old, first):
        link.driver.close()


def test_upgrading_the_first_version_keeps_everything_and_knows_who_uses_what(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = open_store(path)
    facts, blobs, chain = store_samples.image("docker.io/library/nginx:1.25", 1)
    with store.transaction() as session:
        session.images.put(facts, blobs, chain)
        made = store_samples.create(session)
        session.observed.put(made.uid, store_samples.running(made.uid))
    with store.snapshot() as session:
        before = session.entries()
    store.close()
    store_old.first_version(path)
    store = open_store(path)
    with store.snapshot() as session:
        assert session.entries() == before
        assert session.images.all() == [facts]
        assert session.relations.named() == {store_samples.SPEC["image"]: [made.key]}
        assert session.relations.made() == {"sha256:" + "b" * 64: [made.key]}
        assert session.relations.chains() == {facts.digest: chain}
        assert session.relations.used_at() == {facts.digest: 0.0}
        assert session.relations.sizes("layer") == {}
    store.close()
    fresh = _link(tmp_path / "fresh.db")
    schema.create(fresh)
    upgraded = _link(path)
    assert _shape(upgraded) == _shape(fresh)
    for link in (upgraded, fresh):
        link.driver.close()
