"""The relations of the graph. An image is keyed by its manifest's digest; references point at images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Table, bindparam, delete, exists, func, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert

from reconciler.model.view import ImageFacts
from reconciler.store import tables
from reconciler.store.sql import Link, Query, decode, encode

_i, _r, _b, _l = tables.images.c, tables.image_references.c, tables.image_blobs.c, tables.image_layers.c
_FACTS = msgspec.json.Decoder(ImageFacts)

_NEW_IMAGE = upsert(tables.images).values({name: bindparam(name) for name in ("digest", "image_id", "body")})
_PUT_IMAGE = Query(
    _NEW_IMAGE.on_conflict_do_update(
        index_elements=["digest"], set_={"image_id": _NEW_IMAGE.excluded.image_id, "body": _NEW_IMAGE.excluded.body}
    )
)
_NEW_REFERENCE = upsert(tables.image_references)
_PUT_REFERENCE = Query(
    _NEW_REFERENCE.on_conflict_do_update(index_elements=["reference"], set_={"digest": _NEW_REFERENCE.excluded.digest})
)
_PUT_BLOB = Query(insert(tables.image_blobs))
_PUT_LAYER = Query(insert(tables.image_layers))
_named = (
    select(func.coalesce(_r.reference, _i.digest), _i.body)
    .select_from(tables.images.outerjoin(tables.image_references, _r.digest == _i.digest))
    .order_by(func.coalesce(_r.reference, _i.digest))
)
_ALL = Query(_named)
_BY_ID = Query(_named.where(_i.image_id == bindparam("image_id")).limit(1))
_BY_DIGEST = Query(_named.where(_i.digest == bindparam("digest")).limit(1))
_BY_REFERENCE = Query(_named.where(_r.reference == bindparam("reference")))
_IMAGE_OF_ID = select(_i.digest).where(_i.image_id == bindparam("image_id")).order_by(_i.digest).limit(1)
_CHAIN = Query(select(_l.chain_id).where(_l.digest == _IMAGE_OF_ID.scalar_subquery()).order_by(_l.position))
_BLOBS = Query(select(_b.blob).where(_b.digest == bindparam("digest")))
_ALL_BLOBS = Query(select(_b.blob).distinct())
_ALL_LAYERS = Query(select(_l.chain_id).distinct())
_REMOVE_REFERENCE = Query(delete(tables.image_references).where(_r.reference == bindparam("reference")))
_REMOVE_IMAGE = Query(delete(tables.images).where(_i.digest == bindparam("digest")))


def _only(column: ColumnElement[Any], digest: ColumnElement[Any], table: Table) -> Query:
    """What only this image has, the highest position first if there are positions."""
    other = table.alias("other")
    shared = exists().where(other.c[str(column.key)] == column, other.c.digest != digest)
    mine = select(column).where(digest == bindparam("digest"), ~shared)
    return Query(mine.order_by(_l.position.desc()) if table is tables.image_layers else mine.order_by(column))


_ONLY_BLOBS = _only(_b.blob, _b.digest, tables.image_blobs)
_ONLY_CHAIN = _only(_l.chain_id, _l.digest, tables.image_layers)
_CLEAR = tuple(
    Query(delete(table).where(table.c.digest == bindparam("digest")))
    for table in (tables.image_blobs, tables.image_layers)
)


class SqlImages:
    """``base.Images``."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def put(self, facts: ImageFacts, blobs: Sequence[str], chain: Sequence[str]) -> None:
        if self._has(facts, blobs, chain):
            return
        body = encode(msgspec.structs.replace(facts, reference=""))
        self._link.write(_PUT_IMAGE, digest=facts.digest, image_id=facts.image_id, body=body)
        if facts.reference != facts.digest:
            self._link.write(_PUT_REFERENCE, reference=facts.reference, digest=facts.digest)
        for clear in _CLEAR:
            self._link.write(clear, digest=facts.digest)
        for blob in dict.fromkeys(blobs):
            self._link.write(_PUT_BLOB, digest=facts.digest, blob=blob)
        for position, chain_id in enumerate(chain):
            self._link.write(_PUT_LAYER, digest=facts.digest, position=position, chain_id=chain_id)

    def tag(self, reference: str, digest: str) -> None:
        self._link.write(_PUT_REFERENCE, reference=reference, digest=digest)

    def get(self, reference: str) -> ImageFacts | None:
        return self._one(_BY_REFERENCE, reference=reference) or self._untagged(reference)

    def by_id(self, image_id: str) -> ImageFacts | None:
        return self._one(_BY_ID, image_id=image_id)

    def all(self) -> list[ImageFacts]:
        return [self._facts(*row) for row in self._link.rows(_ALL)]

    def chain(self, image_id: str) -> tuple[str, ...]:
        return tuple(chain_id for (chain_id,) in self._link.rows(_CHAIN, image_id=image_id))

    def remove(self, reference: str) -> tuple[list[str], list[str]]:
        facts = self.get(reference)
        if facts is None:
            return [], []
        self._link.write(_REMOVE_REFERENCE, reference=reference)
        digest = facts.digest
        if self._tagged(digest):
            return [], []
        blobs = [blob for (blob,) in self._link.rows(_ONLY_BLOBS, digest=digest)]
        chain = [chain_id for (chain_id,) in self._link.rows(_ONLY_CHAIN, digest=digest)]
        self._link.write(_REMOVE_IMAGE, digest=digest)
        return blobs, chain

    def needed(self) -> tuple[frozenset[str], frozenset[str]]:
        blobs = frozenset(blob for (blob,) in self._link.rows(_ALL_BLOBS))
        return blobs, frozenset(chain_id for (chain_id,) in self._link.rows(_ALL_LAYERS))

    def _has(self, facts: ImageFacts, blobs: Sequence[str], chain: Sequence[str]) -> bool:
        if self.get(facts.reference) != facts or self.chain(facts.image_id) != tuple(chain):
            return False
        return {blob for (blob,) in self._link.rows(_BLOBS, digest=facts.digest)} == set(blobs)

    def _one(self, query: Query, **values: Any) -> ImageFacts | None:
        row = self._link.row(query, **values)
        return None if row is None else self._facts(*row)

    def _facts(self, reference: str, body: str) -> ImageFacts:
        return msgspec.structs.replace(decode(_FACTS, body, self._link.path), reference=reference)

    def _untagged(self, digest: str) -> ImageFacts | None:
        """An image that lost its last reference is named by its digest."""
        found = self._one(_BY_DIGEST, digest=digest)
        return found if found is not None and found.reference == digest else None

    def _tagged(self, digest: str) -> bool:
        found = self._one(_BY_DIGEST, digest=digest)
        return found is not None and found.reference != digest
