"""Brings an older database to the current version, all steps in one transaction."""

from __future__ import annotations

import sqlalchemy
from alembic import command
from alembic.config import Config
from sqlalchemy.pool import StaticPool

from reconciler.store import schema
from reconciler.store.sql import Link


def to_current(link: Link) -> None:
    """Migrates; on an error the database is as it was.

    Foreign keys are not enforced meanwhile, because SQLite changes a table by making a new one; they are checked at the
    end.
    """
    link.control("PRAGMA foreign_keys = OFF")
    try:
        with _engine(link).connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            _migrate(connection, schema.CURRENT)
            _check(link)
            connection.commit()
    finally:
        link.control("PRAGMA foreign_keys = ON")


def _engine(link: Link) -> sqlalchemy.Engine:
    """SQLAlchemy on the store's own connection, which it neither makes nor closes."""
    return sqlalchemy.create_engine(
        "sqlite://", creator=lambda: link.driver, poolclass=StaticPool, pool_reset_on_return=None
    )


def _migrate(connection: sqlalchemy.Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", "reconciler.store:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _check(link: Link) -> None:
    broken = link.control("PRAGMA foreign_key_check")
    if broken:
        raise RuntimeError(f"a migration left rows that refer to nothing: {broken[:3]}")
