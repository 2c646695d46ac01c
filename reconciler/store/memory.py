"""What sources remember about their files, and small facts by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Table, bindparam, delete, select
from sqlalchemy.dialects.sqlite import insert as upsert

from reconciler.store import tables
from reconciler.store.sql import Link, Query, decode, encode

_ANY: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
_PROBLEMS = msgspec.json.Decoder(tuple[str, ...])
_f, _m, _n = tables.source_files.c, tables.source_memory.c, tables.facts.c


def _put(table: Table) -> Query:
    """Inserts a row or replaces the one of the same primary key."""
    new = upsert(table)
    keys = [column.name for column in table.primary_key]
    others = {column.name: new.excluded[column.name] for column in table.columns if not column.primary_key}
    return Query(new.on_conflict_do_update(index_elements=keys, set_=others))


_FILES = Query(select(_f.path, _f.digest, _f.body).where(_f.source == bindparam("source")).order_by(_f.path))
_FILE = Query(select(_f.digest, _f.body).where(_f.source == bindparam("source"), _f.path == bindparam("path")))
_PUT_FILE = _put(tables.source_files)
_REMOVE_FILE = Query(delete(tables.source_files).where(_f.source == bindparam("source"), _f.path == bindparam("path")))
_MEMORY = Query(select(_m.body).where(_m.source == bindparam("source")))
_REMEMBER = _put(tables.source_memory)
_FACT = Query(select(_n.body).where(_n.name == bindparam("name")))
_PUT_FACT = _put(tables.facts)


class SqlSources:
    """``base.SourceStates``."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def files(self, source: str) -> dict[str, tuple[str, tuple[str, ...]]]:
        rows = self._link.rows(_FILES, source=source)
        return {path: (digest, decode(_PROBLEMS, body, self._link.path)) for path, digest, body in rows}

    def put_file(self, source: str, path: str, digest: str, problems: Sequence[str]) -> None:
        body = encode(tuple(problems))
        if self._link.row(_FILE, source=source, path=path) != (digest, body):
            self._link.write(_PUT_FILE, source=source, path=path, digest=digest, body=body)

    def remove_file(self, source: str, path: str) -> None:
        self._link.write(_REMOVE_FILE, source=source, path=path)

    def memory(self, source: str) -> dict[str, Any]:
        """Empty for a source that remembers nothing yet."""
        body = self._link.value(_MEMORY, source=source)
        found: dict[str, Any] = {} if body is None else decode(_ANY, body, self._link.path)
        return found

    def remember(self, source: str, memory: dict[str, Any]) -> None:
        body = encode(memory)
        if self._link.value(_MEMORY, source=source) != body:
            self._link.write(_REMEMBER, source=source, body=body)


class SqlFacts:
    """``base.Facts``. An unknown fact is None."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def get(self, name: str) -> Any:
        body = self._link.value(_FACT, name=name)
        return None if body is None else decode(_ANY, body, self._link.path)

    def put(self, name: str, value: Any) -> None:
        body = encode(value)
        if self._link.value(_FACT, name=name) != body:
            self._link.write(_PUT_FACT, name=name, body=body)
