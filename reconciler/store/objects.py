"""Desired state."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NoReturn

import msgspec
from sqlalchemy import Text, bindparam, delete, func, insert, literal_column, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from reconciler import errors
from reconciler.kinds import table
from reconciler.model.keys import Key
from reconciler.model.objects import Desired, Override, Owner, SourceNote
from reconciler.model.view import untouched
from reconciler.store import checks, tables
from reconciler.store.changes import SqlChanges
from reconciler.store.entries import ORDER, desired_lines, entries_of, entry, unpack_desired
from reconciler.store.leases import SqlLeases
from reconciler.store.refs import SqlRefs
from reconciler.store.sql import Link, Query, decode, encode, packed

_o, _m = tables.objects.c, tables.managers.c
_FILTERS = ("kind", "namespace", "source", "item")

_DESIRED = msgspec.json.Decoder(Desired)
_ANY: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
_GET = Query(desired_lines().where(_o.uid == bindparam("uid")))
_LIVE = Query(
    desired_lines().where(
        _o.kind == bindparam("kind"), _o.namespace == bindparam("namespace"), _o.name == bindparam("name"), _o.live == 1
    )
)
_SOME = Query(select(_o.uid).where(_o.kind == bindparam("kind")).limit(literal_column("1")))
_texts = func.json_each(bindparam("texts", type_=Text)).table_valued("value", name="wanted")
_NAMING = Query(
    select(_o.kind, _o.namespace, _o.name).where(
        _o.live == literal_column("1"), _o.image.in_(select(_texts.c.value)), tables.NAMES_AN_IMAGE
    )
)
_CHANGED = ("live", "source", "item", "generation", "revision", "body", "sum")
_INSERT = Query(
    insert(tables.objects).values({name: bindparam(name) for name in ("uid", "kind", "namespace", "name", *_CHANGED)})
)
_UPDATE = Query(
    update(tables.objects).where(_o.uid == bindparam("row")).values({name: bindparam(name) for name in _CHANGED})
)
_DELETE = Query(delete(tables.objects).where(_o.uid == bindparam("uid")))

_NEW_OVERRIDE = upsert(tables.overrides)
_PUT_OVERRIDE = Query(
    _NEW_OVERRIDE.on_conflict_do_update(
        index_elements=["uid"], set_={"body": _NEW_OVERRIDE.excluded.body, "sum": _NEW_OVERRIDE.excluded.sum}
    )
)
_APPLIED = Query(select(_m.manager, _m.body).where(_m.uid == bindparam("uid")).order_by(_m.manager))
_NEW_APPLIED = upsert(tables.managers)
_PUT_APPLIED = Query(
    _NEW_APPLIED.on_conflict_do_update(
        index_elements=["uid", "manager"], set_={"body": _NEW_APPLIED.excluded.body, "sum": _NEW_APPLIED.excluded.sum}
    )
)
_REMOVE_APPLIED = Query(delete(tables.managers).where(_m.uid == bindparam("uid"), _m.manager == bindparam("manager")))


class _Body(msgspec.Struct, frozen=True, omit_defaults=True):
    """What ``objects.body`` holds of a ``Desired``: all but generation, revision and override, which have columns."""

    key: Key
    uid: str
    created_at: float
    labels: dict[str, str]
    annotations: dict[str, str]
    spec: dict[str, Any]
    owner: Owner
    deleting_at: float | None
    finalizers: tuple[str, ...]
    deleting_grace: float | None = None
    note: SourceNote | None = None


@lru_cache(maxsize=len(_FILTERS) ** 2)
def _find(given: frozenset[str]) -> Query:
    lines = desired_lines().order_by(*ORDER)
    return packed(lines.where(*(_o[name] == bindparam(name) for name in _FILTERS if name in given)))


class SqlObjects:
    """``base.Objects``."""

    def __init__(self, link: Link, changes: SqlChanges, leases: SqlLeases, refs: SqlRefs) -> None:
        self._link = link
        self._changes = changes
        self._leases = leases
        self._refs = refs

    def get(self, uid: str) -> Desired | None:
        return self._one(_GET, uid=uid)

    def live(self, key: Key) -> Desired | None:
        return self._one(_LIVE, kind=key.kind, namespace=key.namespace, name=key.name)

    def find(self, kind: str = "", namespace: str = "", source: str = "", item: str = "") -> list[Desired]:
        given = {"kind": kind, "namespace": namespace, "source": source, "item": item}
        given = {name: value for name, value in given.items() if value}
        return unpack_desired(self._link, _find(frozenset(given)), **given)

    def some(self, kind: str) -> bool:
        return self._link.value(_SOME, kind=kind) is not None

    def naming(self, texts: Iterable[str]) -> list[Key]:
        return [Key(*row) for row in self._link.rows(_NAMING, texts=encode([*texts]))]

    def create(
        self,
        key: Key,
        labels: dict[str, str],
        annotations: dict[str, str],
        spec: dict[str, Any],
        owner: Owner,
        now: float,
    ) -> Desired:
        present = self.live(key)
        if present is not None:
            raise errors.Conflict(f"{key} exists already: it is owned by {present.owner}")
        if (former := self._revivable(key)) is not None:
            generation = former.generation + (spec != former.spec)
            changed = {"labels": labels, "annotations": annotations, "spec": spec, "owner": owner}
            return self._change(former, generation=generation, deleting_at=None, **changed)
        desired = Desired(key, str(uuid.uuid4()), 1, self._changes.take(), now, labels, annotations, spec, owner)
        self._link.write(
            _INSERT, kind=key.kind, namespace=key.namespace, name=key.name, uid=desired.uid, **_columns(desired)
        )
        self._refs.spec(desired)
        self._changes.record("ADDED", desired, None)
        return desired

    def replace(
        self, uid: str, labels: dict[str, str], annotations: dict[str, str], spec: dict[str, Any], owner: Owner
    ) -> Desired:
        present = self._present(uid)
        if present.deleting_at is not None:
            raise errors.Conflict(f"{present.key} is being removed: what it should be cannot be changed any more")
        changed = {"labels": labels, "annotations": annotations, "spec": spec, "owner": owner}
        if owner.source != present.owner.source:
            changed["note"] = None
        return self._change(present, generation=present.generation + (spec != present.spec), **changed)

    def set_override(self, uid: str, override: Override) -> Desired:
        present = self._present(uid)
        if present.override != override:
            body = encode(override)
            self._link.write(_PUT_OVERRIDE, uid=uid, body=body, sum=checks.total(body))
        return self._change(present, override=override)

    def set_note(self, uid: str, note: SourceNote | None) -> Desired:
        return self._change(self._present(uid), note=note)

    def mark_deleting(self, uid: str, now: float, grace: float | None = None) -> Desired:
        present = self._present(uid)
        if present.deleting_at is not None:
            # asked again, it may only become more urgent
            if grace is None or (present.deleting_grace is not None and present.deleting_grace <= grace):
                return present
            return self._change(present, deleting_grace=grace)
        return self._change(present, deleting_at=now, deleting_grace=grace)

    def purge(self, uid: str) -> None:
        found = entry(self._link, uid)
        if found is None:
            return
        self._leases.release(uid)
        self._link.write(_DELETE, uid=uid)
        desired = msgspec.structs.replace(found.desired, revision=self._changes.take())
        self._changes.record("DELETED", desired, found.observed)

    def applied(self, uid: str) -> dict[str, dict[str, Any]]:
        rows = self._link.rows(_APPLIED, uid=uid)
        return {manager: decode(_ANY, body, self._link.path) for manager, body in rows}

    def set_applied(self, uid: str, manager: str, document: dict[str, Any] | None) -> None:
        self._present(uid)
        if document is None:
            self._link.write(_REMOVE_APPLIED, uid=uid, manager=manager)
            return
        body = encode(document)
        self._link.write(_PUT_APPLIED, uid=uid, manager=manager, body=body, sum=checks.total(body))

    def _revivable(self, key: Key) -> Desired | None:
        """An object of that name whose deletion can be taken back."""
        if not table.pure(key.kind).revives:
            return None
        found = untouched(each for each in entries_of(self._link, [key]) if each.desired.deleting_at is not None)
        return found.desired if found is not None else None

    def _one(self, query: Query, **values: Any) -> Desired | None:
        line = self._link.value(query, **values)
        return None if line is None else decode(_DESIRED, line, self._link.path)

    def _present(self, uid: str) -> Desired:
        return self.get(uid) or _unknown(uid)

    def _change(self, present: Desired, **fields: Any) -> Desired:
        """Writes ``present`` with other values and records the change; does nothing if they are the same."""
        desired = msgspec.structs.replace(present, **fields)
        if desired == present:
            return present
        desired = msgspec.structs.replace(desired, revision=self._changes.take())
        self._link.write(_UPDATE, row=desired.uid, **_columns(desired))
        self._refs.spec(desired)
        found = entry(self._link, desired.uid)
        self._changes.record("MODIFIED", desired, found.observed if found else None)
        return desired


def _columns(desired: Desired) -> dict[str, Any]:
    """The columns of a row that can change."""
    taken = {name: getattr(desired, name) for name in _Body.__struct_fields__}
    body = encode(_Body(**taken))
    return {
        "live": int(desired.deleting_at is None),
        "source": desired.owner.source,
        "item": desired.owner.item,
        "generation": desired.generation,
        "revision": desired.revision,
        "body": body,
        "sum": checks.total(body),
    }


def _unknown(uid: str) -> NoReturn:
    raise errors.NotFound(f"no object has uid {uid}")
