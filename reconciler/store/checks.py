"""Checks that a database is whole: SQLite's structure, our sums over what SQLite cannot check, and every acknowledged
revision."""

from __future__ import annotations

import sqlite3
import zlib
from typing import Any

from sqlalchemy import Table, select, text

from reconciler import errors
from reconciler.store import faults, schema, tables
from reconciler.store.sql import Link, Query

_REVISION = Query(text("SELECT seq FROM sqlite_sequence WHERE name = 'changes'"))
_SUMMED = (tables.objects, tables.overrides, tables.managers, tables.observed)


def total(body: str) -> int:
    """The sum kept beside a body."""
    return zlib.crc32(body.encode())


def revision(link: Link) -> int:
    """The newest global revision."""
    return int(link.value(_REVISION) or 0)


def whole(link: Link, promised: int) -> None:
    """Raises ``errors.Permanent`` when anything is wrong; ``promised`` is the revision that the database must have."""
    _structure(link)
    if not schema.version(link):
        if promised:
            raise errors.Permanent(faults.missing(link.path, "has lost its tables"))
        return
    for table in _SUMMED:
        _sums(link, table)
    found = revision(link)
    if found < promised:
        what = f"has state up to revision {found}, but {promised} was acknowledged: its newest changes are lost"
        raise errors.Permanent(
            faults.missing(link.path, f"{what} (an older copy, or {link.path.name}-wal is missing or cut)")
        )


def _structure(link: Link) -> None:
    try:
        # a row may have several lines
        problems = [" ".join(str(row[0]).split()) for row in link.control("PRAGMA integrity_check(3)")]
    except errors.Permanent as error:
        # a body that is no JSON any more, from which no column can be computed
        if isinstance(error.__cause__, sqlite3.OperationalError):
            raise errors.Permanent(faults.damaged(link.path, str(error.__cause__))) from error
        raise
    if problems != ["ok"]:
        raise errors.Permanent(faults.damaged(link.path, "; ".join(problems)))
    if link.control("PRAGMA foreign_key_check"):
        raise errors.Permanent(faults.damaged(link.path, "rows refer to rows that are gone"))


def _sums(link: Link, table: Table) -> None:
    columns: tuple[Any, ...] = (table.c.uid, table.c.sum, table.c.body)
    for uid, kept, body in link.rows(Query(select(*columns))):
        # a flipped bit may make bytes of a text
        if not isinstance(body, str) or total(body) != kept:
            raise errors.Permanent(faults.damaged(link.path, f"the {table.name} row of {uid} is not what was written"))
