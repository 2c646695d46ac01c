"""The version of the tables: read by plain SQL, made directly in a new file, migrated by alembic in an old one.

Importing alembic takes 0.8 s, so only a database of an older version does. A test shows that both ways give the same
tables.
"""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.schema import CreateIndex, CreateTable

from reconciler import errors
from reconciler.store import tables
from reconciler.store.sql import Link, Query, ddl

#: the newest migration in ``migrations/versions``
CURRENT = "0003"
#: "pydk": tells our files from other programs' SQLite databases
APPLICATION_ID = 0x7079646B

_HAS_TABLES = Query(text("SELECT count(*) FROM sqlite_master"))
_HAS_VERSION = Query(text("SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'"))
_VERSION = Query(text("SELECT version_num FROM alembic_version"))
_MAKE_VERSION = (
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
    "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)


def version(link: Link) -> str:
    """The version of an opened database; empty for one without tables.

    Raises ``errors.Permanent`` if it is not ours or newer than this program.
    """
    if not link.value(_HAS_TABLES):
        return ""
    if link.control("PRAGMA application_id")[0][0] != APPLICATION_ID or not link.value(_HAS_VERSION):
        raise errors.Permanent(
            f"{link.path} is an SQLite database, but not pydock's: move it away or give another --root"
        )
    found = str(link.value(_VERSION) or "")
    if found > CURRENT:
        raise errors.Permanent(
            f"{link.path} was written by a newer pydock (schema {found}, this one knows up to {CURRENT}): "
            "install that version again, or put back a backup from before the upgrade"
        )
    return found


def create(link: Link) -> None:
    """Makes the tables of the current version in an empty database, all or nothing."""
    link.control("BEGIN IMMEDIATE")
    try:
        link.control(f"PRAGMA application_id = {APPLICATION_ID}")
        for table in tables.metadata.sorted_tables:
            link.control(ddl(CreateTable(table)))
            for index in sorted(table.indexes, key=lambda index: str(index.name)):
                link.control(ddl(CreateIndex(index)))
        link.control(_MAKE_VERSION)
        link.control(f"INSERT INTO alembic_version VALUES ('{CURRENT}')")
        link.control("COMMIT")
    except BaseException:
        link.rollback()
        raise
