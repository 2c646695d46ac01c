"""The journal of jobs."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Integer, Text, bindparam, delete, insert, literal_column, select, update

from reconciler.model.jobs import JobRecord, JobStatus
from reconciler.store import tables
from reconciler.store.sql import Link, Query, decode, encode, packed

#: characters of an error or an output that a row keeps
MOST_TEXT = 4096

_j = tables.jobs.c
_RECORD = msgspec.json.Decoder(JobRecord)
_RECORDS = msgspec.json.Decoder(list[JobRecord])


def _line() -> Any:
    """The JSON of a ``JobRecord``: the row's number, then the members of its body."""
    text = literal_column("'{\"id\":'", Text).concat(_j.id).concat(literal_column("','", Text))
    return text.concat(literal_column("substr(jobs.body, 2)", Text)).label("line")


_INSERT = Query(insert(tables.jobs).values(key=bindparam("key"), status=bindparam("status"), body=bindparam("body")))
_GET = Query(select(_line()).where(_j.id == bindparam("number")))
_UPDATE = Query(
    update(tables.jobs).where(_j.id == bindparam("number")).values(status=bindparam("status"), body=bindparam("body"))
)
_RUNNING = packed(select(_line()).where(_j.status == literal_column("'running'", Text)).order_by(_j.id))
_NEWEST = select(_line()).order_by(_j.id.desc()).limit(bindparam("limit", type_=Integer))
_ALL = packed(_NEWEST)
_OF_KEY = packed(_NEWEST.where(_j.key == bindparam("key")))
_KEPT = select(_j.id).order_by(_j.id.desc()).limit(bindparam("keep", type_=Integer))
_TRIM = Query(delete(tables.jobs).where(_j.id.not_in(_KEPT), _j.status != literal_column("'running'", Text)))


class _Body(msgspec.Struct, frozen=True):
    """What ``jobs.body`` holds: a ``JobRecord`` without its id."""

    name: str
    key: str
    uid: str
    cause: str
    status: JobStatus
    attempt: int
    started_at: float
    ended_at: float
    error: str
    output: str
    caller: str = ""


class SqlJournal:
    """``base.Journal``."""

    def __init__(self, link: Link, short: bool = False) -> None:
        self._link = link
        self._short = short

    def begin(self, name: str, key: str, uid: str, cause: str, attempt: int, now: float, caller: str = "") -> int:
        if self._short:
            return 0
        body = _Body(name, key, uid, cause, "running", attempt, now, 0.0, "", "", caller)
        return self._link.insert(_INSERT, key=key, status=body.status, body=encode(body))

    def end(self, id: int, status: JobStatus, now: float, error: str = "", output: str = "") -> None:
        """Has no effect on a job that was trimmed since."""
        line = self._link.value(_GET, number=id)
        if line is not None:
            record = decode(_RECORD, line, self._link.path)
            said = {"error": _bounded(error), "output": _bounded(output)}
            self._write(msgspec.structs.replace(record, status=status, ended_at=now, **said))

    def interrupt_running(self, now: float) -> list[JobRecord]:
        running = self._link.unpack(_RUNNING, _RECORDS)
        interrupted = [msgspec.structs.replace(record, status="interrupted", ended_at=now) for record in running]
        for record in interrupted:
            self._write(record)
        return interrupted

    def find(self, key: str = "", limit: int = 100) -> list[JobRecord]:
        if key:
            return self._link.unpack(_OF_KEY, _RECORDS, key=key, limit=limit)
        return self._link.unpack(_ALL, _RECORDS, limit=limit)

    def trim(self, keep: int) -> int:
        """Running jobs are always kept."""
        return self._link.write(_TRIM, keep=max(keep, 0))

    def _write(self, record: JobRecord) -> None:
        body = _Body(**{name: getattr(record, name) for name in _Body.__struct_fields__})
        self._link.write(_UPDATE, number=record.id, status=record.status, body=encode(body))


def _bounded(text: str) -> str:
    """``text``, cut if it is long: what a job answers may be a list of ten thousand."""
    if len(text) <= MOST_TEXT:
        return text
    return f"{text[:MOST_TEXT]}… ({len(text)} characters)"
