"""The changes that watches read: revisions are taken here, in the transaction that makes the change."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec
from sqlalchemy import Integer, Text, bindparam, delete, func, insert, literal_column, select

from reconciler import errors
from reconciler.kinds import render
from reconciler.model.jobs import Change
from reconciler.model.objects import Desired
from reconciler.model.observed import Observed
from reconciler.store import checks, tables
from reconciler.store.sql import Link, Query, encode, packed

ChangeType = Literal["ADDED", "MODIFIED", "DELETED"]
_c = tables.changes.c
_DECODER = msgspec.json.Decoder(list[Change])


def _literal(text: str) -> Any:
    return literal_column(f"'{text}'", Text)


_LINE = (
    _literal('{"revision":')
    .concat(_c.revision)
    .concat(_literal(',"type":"'))
    .concat(_c.type)
    .concat(_literal('","key":'))
    .concat(func.json_quote(_c.key))
    .concat(_literal(',"uid":"'))
    .concat(_c.uid)
    .concat(_literal('","object":'))
    .concat(_c.body)
    .concat(_literal("}"))
)
_INSERT = Query(insert(tables.changes))
_SINCE = packed(
    select(_LINE.label("line"))
    .where(_c.revision > bindparam("after"))
    .order_by(_c.revision)
    .limit(bindparam("limit", type_=Integer))
)
_uids = func.json_each(bindparam("uids", type_=Text)).table_valued("value", name="wanted")
_LAST = (
    select(func.max(_c.revision))
    .where(_c.revision <= bindparam("until"), _c.uid.in_(select(_uids.c.value)))
    .group_by(_c.uid)
)
_BEFORE = packed(select(_LINE.label("line")).where(_c.revision.in_(_LAST)))
_FIRST = Query(select(func.min(_c.revision)))
_COMPACT = Query(delete(tables.changes).where(_c.revision <= bindparam("until")))


class SqlChanges:
    """``base.Changes``.

    Revisions have no gaps (a rollback gives its ones back), so the oldest row tells what was compacted.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self.taken = 0

    def latest(self) -> int:
        return self.taken or checks.revision(self._link)

    def oldest(self) -> int:
        first = self._link.value(_FIRST)
        return self.latest() if first is None else int(first) - 1

    def since(self, revision: int, limit: int = 1000) -> list[Change]:
        oldest, latest = self.oldest(), self.latest()
        if revision < oldest:
            raise errors.Expired(f"revision {revision} is too old: changes are kept from {oldest} on; list again")
        if revision > latest:
            raise errors.Expired(f"revision {revision} is not of this state (it is at {latest}): list again")
        return self._link.unpack(_SINCE, _DECODER, after=revision, limit=limit)

    def last(self, uids: Iterable[str], until: int) -> dict[str, Change]:
        found = self._link.unpack(_BEFORE, _DECODER, uids=encode([*uids]), until=until)
        return {change.uid: change for change in found}

    def compact(self, keep: int) -> int:
        return self._link.write(_COMPACT, until=self.latest() - max(keep, 0))

    def take(self) -> int:
        """The next revision; exactly one ``record`` must follow."""
        self.taken = self.latest() + 1
        return self.taken

    def record(self, type: ChangeType, desired: Desired, observed: Observed | None) -> None:
        """Writes the change that ``desired.revision`` was taken for."""
        self._link.write(
            _INSERT,
            revision=desired.revision,
            type=type,
            key=str(desired.key),
            uid=desired.uid,
            body=encode(render.api_object(desired, observed)),
        )
