"""Who uses which image, since when, and how many bytes its parts take: asked of indexes, no object is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, Text, bindparam, delete, exists, func, literal_column, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from reconciler.model.keys import Key
from reconciler.store import tables
from reconciler.store.sql import Link, Query, encode, packed

Part = Literal["layer", "blob"]
_o, _s, _i = tables.objects.c, tables.observed.c, tables.images.c
_b, _l, _g = tables.image_blobs.c, tables.image_layers.c, tables.graph_sizes.c
_USERS = msgspec.json.Decoder(list[tuple[str, str, str, str]])
_PARTS = msgspec.json.Decoder(list[tuple[str, str]])
_SIZES = msgspec.json.Decoder(list[tuple[str, int]])
_TIMES = msgspec.json.Decoder(list[tuple[str, float]])


def _line(*columns: Any) -> Any:
    return func.json_array(*columns).label("line")


_key = (_o.kind, _o.namespace, _o.name)
_one: ColumnElement[Any] = literal_column("1")
_NAMED = packed(
    select(_line(_o.image, *_key))
    .where(_o.live == _one, _o.image.is_not(None), tables.NAMES_AN_IMAGE)
    .order_by(_o.image, *_key)
)
_made = tables.observed.join(tables.objects, _o.uid == _s.uid)
_MADE = packed(select(_line(_s.image_id, *_key)).select_from(_made).where(_s.image_id > literal_column("''", Text)))
_CHAINS = packed(select(_line(_l.digest, _l.chain_id)).order_by(_l.digest, _l.position))
_BLOBS = packed(select(_line(_b.digest, _b.blob)).order_by(_b.digest, _b.blob))
_USED = packed(select(_line(_i.digest, _i.used_at)).order_by(_i.digest))
_SIZES_OF = packed(select(_line(_g.name, _g.bytes)).where(_g.what == bindparam("part")))
_NEW_SIZE = upsert(tables.graph_sizes)
_PUT_SIZE = Query(
    _NEW_SIZE.on_conflict_do_update(index_elements=["what", "name"], set_={"bytes": _NEW_SIZE.excluded.bytes})
)
_given = func.json_each(bindparam("digests", type_=Text)).table_valued("value", name="wanted")
_NOTE = Query(
    update(tables.images)
    .where(_i.digest.in_(select(_given.c.value)))
    .values(used_at=bindparam("now", type_=_i.used_at.type))
)
_FORGET = tuple(
    Query(
        delete(tables.graph_sizes).where(
            _g.what == literal_column(f"'{part}'", Text), ~exists().where(column == _g.name)
        )
    )
    for part, column in (("layer", _l.chain_id), ("blob", _b.blob))
)


class SqlRelations:
    """``base.Relations``."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def named(self) -> dict[str, list[Key]]:
        return self._users(_NAMED)

    def made(self) -> dict[str, list[Key]]:
        return self._users(_MADE)

    def chains(self) -> dict[str, list[str]]:
        return _grouped(self._link.unpack(_CHAINS, _PARTS))

    def blobs(self) -> dict[str, list[str]]:
        return _grouped(self._link.unpack(_BLOBS, _PARTS))

    def used_at(self) -> dict[str, float]:
        return dict(self._link.unpack(_USED, _TIMES))

    def note_use(self, digests: Iterable[str], now: float) -> None:
        self._link.write(_NOTE, digests=encode(list(digests)), now=now)

    def sizes(self, part: Part) -> dict[str, int]:
        return dict(self._link.unpack(_SIZES_OF, _SIZES, part=part))

    def measured(self, part: Part, sizes: Mapping[str, int]) -> None:
        for name, size in sizes.items():
            self._link.write(_PUT_SIZE, what=part, name=name, bytes=size)
        for forget in _FORGET:
            self._link.write(forget)

    def _users(self, query: Query) -> dict[str, list[Key]]:
        found: dict[str, list[Key]] = {}
        for what, *key in self._link.unpack(query, _USERS):
            found.setdefault(what, []).append(Key(*key))
        return found


def _grouped(rows: list[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for digest, part in rows:
        found.setdefault(digest, []).append(part)
    return found
