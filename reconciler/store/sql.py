"""Statements written in SQLAlchemy Core, compiled once, and run by the driver itself.

A transaction of six statements takes 0.1 ms this way and 0.5 ms through ``Connection.execute``. Many rows are packed
into one JSON text by SQLite and decoded at once: the driver gives up the interpreter lock at each row, and with another
thread busy it waits for it 10,000 times (3.9 s for 10,000 objects; packed 0.3 s).
"""

from __future__ import annotations

import contextlib
import gc
import sqlite3
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from sqlalchemy import LargeBinary, Select, cast, func, literal_column, select
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.sql.elements import ClauseElement

from reconciler import errors
from reconciler.store import faults

T = TypeVar("T")
_DIALECT = SQLiteDialect_pysqlite()


class Query:
    """A Core statement; its parameters are given by name when it is run."""

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement

    @cached_property
    def _compiled(self) -> tuple[str, list[str], dict[str, Any]]:
        compiled: Any = self._statement.compile(dialect=_DIALECT)
        defaults = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
        return str(compiled), list(compiled.positiontup or ()), defaults

    @property
    def text(self) -> str:
        """The SQL, with ``?`` for parameters."""
        return self._compiled[0]

    def bind(self, values: dict[str, Any]) -> list[Any]:
        """The parameters in order. Raises ``KeyError`` when one is missing."""
        _, names, defaults = self._compiled
        return [values[name] if name in values else defaults[name] for name in names]


def ddl(statement: ClauseElement) -> str:
    """The SQL of a statement that makes a table or an index."""
    return str(statement.compile(dialect=_DIALECT)).strip()


def packed(lines: Select[Any]) -> Query:
    """``lines`` selects one JSON text in each row, labelled ``line``; the query returns them as one JSON list (or
    NULL)."""
    column = lines.subquery("packed").c.line
    text = literal_column("'['").concat(func.group_concat(column)).concat(literal_column("']'"))
    return Query(select(cast(text, LargeBinary)))


class Link:
    """One connection as the repositories use it. Not for two threads at once."""

    def __init__(self, driver: sqlite3.Connection, path: Path, writable: bool) -> None:
        self.driver = driver
        self.path = path
        self.writable = writable
        self._retired = False

    def lend(self) -> Link:
        """The same connection for one session."""
        return Link(self.driver, self.path, self.writable)

    def retire(self) -> None:
        """The session is over: using this link from now on is an error."""
        self._retired = True

    def rows(self, query: Query, **values: Any) -> list[tuple[Any, ...]]:
        """All rows."""
        return self._run(query, values)[0]

    def row(self, query: Query, **values: Any) -> tuple[Any, ...] | None:
        """The first row."""
        rows = self._run(query, values)[0]
        return rows[0] if rows else None

    def value(self, query: Query, **values: Any) -> Any:
        """The first column of the first row, None without rows."""
        rows = self._run(query, values)[0]
        return rows[0][0] if rows else None

    def write(self, query: Query, **values: Any) -> int:
        """Runs a statement that writes; returns how many rows it changed."""
        self._must_write()
        return self._run(query, values)[1]

    def insert(self, query: Query, **values: Any) -> int:
        """Runs an INSERT; returns the new row's number."""
        self._must_write()
        return self._run(query, values)[2]

    def unpack(self, query: Query, decoder: msgspec.json.Decoder[list[T]], **values: Any) -> list[T]:
        """The decoded items of a packed query."""
        blob = self.value(query, **values)
        if blob is None:
            return []
        with collector_at_rest():
            return decode(decoder, blob, self.path)

    def control(self, statement: str) -> list[tuple[Any, ...]]:
        """Runs a statement about transactions or settings (``BEGIN``, ``PRAGMA`` and the like)."""
        try:
            return self.driver.execute(statement).fetchall()
        except sqlite3.Error as error:
            raise faults.translate(error, self.path) from error

    def rollback(self) -> None:
        """Ends an open transaction and keeps nothing of it. After some errors SQLite has done so already."""
        if self.driver.in_transaction:
            self.control("ROLLBACK")

    def _must_write(self) -> None:
        if not self.writable:
            raise RuntimeError("a snapshot is for reading: write in a transaction")

    def _run(self, query: Query, values: dict[str, Any]) -> tuple[list[tuple[Any, ...]], int, int]:
        if self._retired:
            raise RuntimeError("this session is over: open another snapshot or transaction")
        try:
            cursor = self.driver.execute(query.text, query.bind(values))
            return cursor.fetchall(), cursor.rowcount, cursor.lastrowid or 0
        except sqlite3.Error as error:
            raise faults.translate(error, self.path) from error


def decode(decoder: msgspec.json.Decoder[T], body: bytes | str, path: Path) -> T:
    """Decodes what was stored. Raises ``errors.Permanent`` when it cannot be read."""
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise errors.Permanent(faults.damaged(path, f"a record cannot be read: {error}")) from error


def encode(value: Any) -> str:
    """A value as the JSON text of a ``body`` column."""
    return msgspec.json.encode(value).decode()


@contextlib.contextmanager
def collector_at_rest() -> Iterator[None]:
    """Pauses the cyclic garbage collector while very many objects are made: it took 0.23 s of 0.33 s. After overlapping
    uses it is enabled again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
