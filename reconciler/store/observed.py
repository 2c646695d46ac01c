"""Observed state."""

from __future__ import annotations

import msgspec
from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from reconciler import errors
from reconciler.kinds import render
from reconciler.model.observed import Observed
from reconciler.store import checks, tables
from reconciler.store.changes import SqlChanges
from reconciler.store.entries import OBSERVED_TYPES, decode_observed, entry
from reconciler.store.refs import SqlRefs
from reconciler.store.sql import Link, Query, encode

_b, _o = tables.observed.c, tables.objects.c
_GET = Query(select(_b.kind, _b.body).where(_b.uid == bindparam("uid")))
_NEW = upsert(tables.observed).values({name: bindparam(name) for name in ("uid", "kind", "body", "sum")})
_PUT = Query(
    _NEW.on_conflict_do_update(
        index_elements=["uid"], set_={"kind": _NEW.excluded.kind, "body": _NEW.excluded.body, "sum": _NEW.excluded.sum}
    )
)
_REVISE = Query(update(tables.objects).where(_o.uid == bindparam("row")).values(revision=bindparam("revision")))


class SqlObserved:
    """``base.ObservedStates``."""

    def __init__(self, link: Link, changes: SqlChanges, refs: SqlRefs) -> None:
        self._link = link
        self._changes = changes
        self._refs = refs

    def get(self, uid: str) -> Observed | None:
        row = self._link.row(_GET, uid=uid)
        return None if row is None else decode_observed(self._link, row[0], row[1])

    def put(self, uid: str, observed: Observed) -> None:
        """Raises ``NotFound`` for an unknown uid."""
        found = entry(self._link, uid)
        if found is None:
            raise errors.NotFound(f"no object has uid {uid}")
        desired, before = found.desired, found.observed
        if before == observed:
            return
        kind = desired.key.kind
        if not isinstance(observed, OBSERVED_TYPES[kind]):
            raise TypeError(f"{desired.key}: observed state of a {kind} expected, not {type(observed).__name__}")
        self._refs.state(kind, uid, before, observed)
        body = encode(observed)
        self._link.write(_PUT, uid=uid, kind=kind, body=body, sum=checks.total(body))
        if render.status(desired, before) != render.status(desired, observed):
            desired = msgspec.structs.replace(desired, revision=self._changes.take())
            self._link.write(_REVISE, row=uid, revision=desired.revision)
            self._changes.record("MODIFIED", desired, observed)
