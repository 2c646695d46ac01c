"""Databases as older versions of pydock wrote them, made of present ones."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

_SECOND = (
    "DROP INDEX objects_image",
    "ALTER TABLE objects DROP COLUMN image",
    "DROP INDEX observed_image",
    "ALTER TABLE observed DROP COLUMN image_id",
    "ALTER TABLE images DROP COLUMN used_at",
    "DROP TABLE graph_sizes",
    "UPDATE alembic_version SET version_num = '0001'",
)


def first_version(path: Path) -> None:
    """Takes all away that came after the first version. Nobody has the database open."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as driver:
        for statement in _SECOND:
            driver.execute(statement)
