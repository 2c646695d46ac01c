"""Events about objects."""

from __future__ import annotations

import zlib
from typing import Any, Literal

import msgspec
from sqlalchemy import Integer, Text, bindparam, case, delete, exists, func, insert, literal_column, select, update

from reconciler.model.jobs import EventRecord
from reconciler.store import tables
from reconciler.store.sql import Link, Query, decode, encode, packed

#: a repeat within this many seconds of the last one is counted
REPEAT_SECONDS = 3600.0
#: different events that one object may have; the oldest are removed
MOST_OF_KEY = 100
EventType = Literal["Normal", "Warning"]
_e = tables.events.c
_RECORD = msgspec.json.Decoder(EventRecord)
_RECORDS = msgspec.json.Decoder(list[EventRecord])


def _line() -> Any:
    text = literal_column("'{\"id\":'", Text).concat(_e.id).concat(literal_column("','", Text))
    return text.concat(literal_column("substr(events.body, 2)", Text)).label("line")


_COLUMNS = ("key", "uid", "mark", "last_at", "body")
_INSERT = Query(insert(tables.events).values({name: bindparam(name) for name in _COLUMNS}))
_ALIKE = Query(
    select(_line()).where(_e.uid == bindparam("uid"), _e.mark == bindparam("mark")).order_by(_e.id.desc()).limit(1)
)
_UPDATE = Query(
    update(tables.events)
    .where(_e.id == bindparam("number"))
    .values(last_at=bindparam("last_at"), body=bindparam("body"))
)
_NEWEST = select(_line()).order_by(_e.last_at.desc(), _e.id.desc()).limit(bindparam("limit", type_=Integer))
_ALL = packed(_NEWEST)
_OF_KEY = packed(_NEWEST.where(_e.key == bindparam("key")))
_gone = case((exists().where(tables.objects.c.uid == _e.uid), literal_column("0")), else_=literal_column("1"))
_turn = func.row_number().over(partition_by=_e.key, order_by=(_e.last_at.desc(), _e.id.desc()))
_RANKED = select(_e.id, _e.last_at, _gone.label("gone"), _turn.label("turn")).subquery("ranked")
_r = _RANKED.c
_KEPT = select(_r.id).order_by(_r.gone, _r.turn, _r.last_at.desc(), _r.id.desc())
_TRIM = Query(delete(tables.events).where(_e.id.not_in(_KEPT.limit(bindparam("keep", type_=Integer)))))
_OLDER = (
    select(_e.id)
    .where(_e.key == bindparam("key"))
    .order_by(_e.last_at.desc(), _e.id.desc())
    .limit(literal_column("-1"))
    .offset(bindparam("most", type_=Integer))
)
_TRIM_KEY = Query(delete(tables.events).where(_e.id.in_(_OLDER)))


class _Body(msgspec.Struct, frozen=True):
    """What ``events.body`` holds: an ``EventRecord`` without its id."""

    key: str
    uid: str
    type: EventType
    reason: str
    message: str
    count: int
    first_at: float
    last_at: float


class SqlEvents:
    """``base.Events``."""

    def __init__(self, link: Link, short: bool = False) -> None:
        self._link = link
        self._short = short

    def record(self, key: str, uid: str, type: EventType, reason: str, message: str, now: float) -> None:
        if self._short:
            return
        mark = zlib.crc32(f"{type}\0{reason}\0{message}".encode())
        line = self._link.value(_ALIKE, uid=uid, mark=mark)
        last = None if line is None else decode(_RECORD, line, self._link.path)
        alike = last is not None and (last.type, last.reason, last.message) == (type, reason, message)
        if last is not None and alike and abs(now - last.last_at) <= REPEAT_SECONDS:
            body = _Body(key, uid, type, reason, message, last.count + 1, last.first_at, now)
            self._link.write(_UPDATE, number=last.id, last_at=now, body=encode(body))
        else:
            body = _Body(key, uid, type, reason, message, 1, now, now)
            self._link.insert(_INSERT, key=key, uid=uid, mark=mark, last_at=now, body=encode(body))
            self._link.write(_TRIM_KEY, key=key, most=MOST_OF_KEY)

    def find(self, key: str = "", limit: int = 500) -> list[EventRecord]:
        """The newest ``limit``, oldest first."""
        if key:
            return self._link.unpack(_OF_KEY, _RECORDS, key=key, limit=limit)[::-1]
        return self._link.unpack(_ALL, _RECORDS, limit=limit)[::-1]

    def trim(self, keep: int) -> int:
        return self._link.write(_TRIM, keep=max(keep, 0))
