"""Databases as older versions of pydock wrote them, made of present ones."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import zlib
from pathlib import Path
from typing import Any

_TO_FIRST = (
    "DROP INDEX objects_image",
    "ALTER TABLE objects DROP COLUMN image",
    "DROP INDEX observed_image",
    "ALTER TABLE observed DROP COLUMN image_id",
    "ALTER TABLE images DROP COLUMN used_at",
    "DROP TABLE graph_sizes",
    "UPDATE alembic_version SET version_num = '0001'",
)
_TO_SECOND = (
    "DROP TABLE refs",
    "DELETE FROM facts WHERE name = 'references'",
    "UPDATE alembic_version SET version_num = '0002'",
)
#: members of bodies that came after the second version, by table
_NEWER = {
    "observed": ("torn", "stop_mono", "stop_sent", "created_at"),
    "objects": ("deleting_grace", "note"),
    "overrides": (),
}


def second_version(path: Path) -> None:
    """Takes away all that came after the second version, from the tables and from what stands in them. Nobody has the
    database open."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as driver:
        for statement in _TO_SECOND:
            driver.execute(statement)
        for table, members in _NEWER.items():
            for uid, body in driver.execute(f"SELECT uid, body FROM {table}").fetchall():
                older = json.dumps(_without(json.loads(body), members), separators=(",", ":"))
                total = zlib.crc32(older.encode())
                driver.execute(f"UPDATE {table} SET body = ?, sum = ? WHERE uid = ?", (older, total, uid))


def first_version(path: Path) -> None:
    """The same for the first version."""
    second_version(path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as driver:
        for statement in _TO_FIRST:
            driver.execute(statement)


def _without(value: Any, members: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        # what people wrote is theirs, whatever its keys are
        return {
            name: each if name in ("annotations", "labels", "spec") else _without(each, members)
            for name, each in value.items()
            if name not in members
        }
    return [_without(each, members) for each in value] if isinstance(value, list) else value
