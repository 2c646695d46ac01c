"""Who refers to whom: kept beside the objects in the same transaction, so that nobody reads every object to know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlalchemy import bindparam, delete, exists, func, insert, literal_column, select

from reconciler.kinds import table
from reconciler.model import refs as to
from reconciler.model.keys import Key
from reconciler.model.objects import OBJECT, Desired
from reconciler.model.observed import Observed
from reconciler.model.refs import Ref
from reconciler.store import tables
from reconciler.store.entries import all_entries
from reconciler.store.sql import Link, Query

#: which references are recorded, and how: it is raised when a kind refers to others than before, so that all references
#: are found anew
VERSION = 1
_SPEC, _STATE = "spec", "state"

_r, _o = tables.refs.c, tables.objects.c
_COLUMNS = ("uid", "layer", "role", "target", "unless")
_OF = Query(select(_r.role, _r.target, _r.unless).where(_r.uid == bindparam("uid"), _r.layer == bindparam("layer")))
_PUT = Query(insert(tables.refs).prefix_with("OR IGNORE").values({name: bindparam(name) for name in _COLUMNS}))
_CLEAR = Query(delete(tables.refs).where(_r.uid == bindparam("uid"), _r.layer == bindparam("layer")))
_CLEAR_ALL = Query(delete(tables.refs))
_referring = (
    select(_o.kind, _o.namespace, _o.name).join(tables.refs, _r.uid == _o.uid).where(_r.target == bindparam("target"))
)
_TO = Query(_referring.order_by(_o.kind, _o.namespace, _o.name))
_LIVE_TO = Query(
    _referring.where(_r.role == bindparam("role"), _o.live == literal_column("1")).order_by(
        _o.kind, _o.namespace, _o.name
    )
)
_instead = tables.objects.alias("instead")
_its_key = func.lower(_instead.c.kind).concat("/").concat(_instead.c.namespace).concat("/").concat(_instead.c.name)
_counts = (_r.unless == literal_column("''")) | ~exists().where(
    _instead.c.live == literal_column("1"), _its_key == _r.unless
)
_SOME = Query(select(_r.uid).where(_r.target == bindparam("target"), _counts).limit(literal_column("1")))


class SqlRefs:
    """``base.Refs``."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def to(self, target: str) -> list[Key]:
        return list(dict.fromkeys(Key(*row) for row in self._link.rows(_TO, target=target)))

    def live_to(self, target: str, role: str) -> list[Key]:
        return [Key(*row) for row in self._link.rows(_LIVE_TO, target=target, role=role)]

    def some(self, target: str) -> bool:
        return self._link.value(_SOME, target=target) is not None

    def spec(self, desired: Desired) -> None:
        """Records whom an object names, and who has made it; for a new object or a changed spec."""
        self._record(desired.uid, _SPEC, _named(desired))

    def state(self, kind: str, uid: str, before: Observed | None, observed: Observed) -> None:
        """Records what an object uses in its present state."""
        uses = table.pure(kind).uses
        now = tuple(uses(observed))
        if before is None or now != tuple(uses(before)):
            self._record(uid, _STATE, now)

    def rebuild(self) -> None:
        """Finds all references anew."""
        self._link.write(_CLEAR_ALL)
        for entry in all_entries(self._link):
            self._put(entry.desired.uid, _SPEC, _named(entry.desired))
            if entry.observed is not None:
                self._put(entry.desired.uid, _STATE, table.pure(entry.desired.key.kind).uses(entry.observed))

    def _record(self, uid: str, layer: str, refs: Iterable[Ref]) -> None:
        wanted = sorted({(ref.role, ref.target, str(ref.unless or "")) for ref in refs})
        if wanted == sorted(self._link.rows(_OF, uid=uid, layer=layer)):
            return
        self._link.write(_CLEAR, uid=uid, layer=layer)
        for role, target, unless in wanted:
            self._link.write(_PUT, uid=uid, layer=layer, role=role, target=target, unless=unless)

    def _put(self, uid: str, layer: str, refs: Iterable[Ref]) -> None:
        for ref in refs:
            unless = str(ref.unless or "")
            self._link.write(_PUT, uid=uid, layer=layer, role=ref.role, target=ref.target, unless=unless)


def _named(desired: Desired) -> Iterator[Ref]:
    yield from table.pure(desired.key.kind).refs(desired)
    if desired.owner.source == OBJECT:
        yield to.of_uid("owner", desired.owner.item)
