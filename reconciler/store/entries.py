"""Desired state with observed: SQL that writes the JSON of both, and their decoding in one go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from sqlalchemy import FromClause, Select, Text, bindparam, func, literal_column, select, tuple_
from sqlalchemy.sql.elements import ColumnElement

from reconciler.kinds import table
from reconciler.model.keys import Key
from reconciler.model.objects import Desired
from reconciler.model.observed import Observed
from reconciler.model.view import Entry
from reconciler.store import tables
from reconciler.store.base import FIRST, Place
from reconciler.store.sql import Link, Query, collector_at_rest, decode, encode, packed

#: larger pages cost more: SQLite grows one text for each, past what malloc keeps
PAGE = 250
#: objects stand in this order everywhere; those of one key by uid
ORDER = (tables.objects.c.kind, tables.objects.c.namespace, tables.objects.c.name, tables.objects.c.uid)
_o, _v, _b = tables.objects.c, tables.overrides.c, tables.observed.c

OBSERVED_TYPES = table.observed_types()
#: one decoder a kind, for a list of (desired, observed)
_PAIRS: dict[str, msgspec.json.Decoder[list[tuple[Desired, Any]]]] = {
    kind: msgspec.json.Decoder(list[tuple[Desired, cls | None]])  # type: ignore[valid-type]
    for kind, cls in OBSERVED_TYPES.items()
}
_OBSERVED: dict[str, msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(type_) for kind, type_ in OBSERVED_TYPES.items()
}
_DESIRED_LIST = msgspec.json.Decoder(list[Desired])


def _literal(text: str) -> ColumnElement[str]:
    return literal_column(f"'{text}'", Text)


#: the JSON of a ``Desired``: the body's members (it begins with a brace) after those that have columns of their own
DESIRED_LINE: ColumnElement[str] = (
    _literal('{"revision":')
    .concat(_o.revision)
    .concat(_literal(',"generation":'))
    .concat(_o.generation)
    .concat(_literal(',"override":'))
    .concat(func.coalesce(_v.body, literal_column("'{}'")))
    .concat(_literal(","))
    .concat(func.substr(_o.body, 2))
)
_PAIR_LINE = (
    _literal("[").concat(DESIRED_LINE).concat(_literal(",")).concat(func.coalesce(_b.body, literal_column("'null'")))
)
_PAIR_LINE = _PAIR_LINE.concat(_literal("]"))


def desired_lines() -> Select[Any]:
    """Selects the JSON of every ``Desired``, labelled ``line``; narrow it with ``where`` and ``order_by``."""
    source = tables.objects.outerjoin(tables.overrides, _v.uid == _o.uid)
    return select(DESIRED_LINE.label("line")).select_from(source)


def _pair_lines(objects: FromClause) -> Select[Any]:
    source = objects.outerjoin(tables.overrides, _v.uid == _o.uid).outerjoin(tables.observed, _b.uid == _o.uid)
    return select(_PAIR_LINE.label("line")).select_from(source).order_by(*ORDER)


def _page() -> Select[Any]:
    """The objects of a kind after the one given."""
    after = tuple_(_o.namespace, _o.name, _o.uid) > tuple_(bindparam("namespace"), bindparam("name"), bindparam("uid"))
    return _pair_lines(tables.objects).where(_o.kind == bindparam("kind"), after).limit(PAGE)


def _page_inside() -> Select[Any]:
    """The same within one namespace."""
    after = tuple_(_o.name, _o.uid) > tuple_(bindparam("name"), bindparam("uid"))
    same = (_o.kind == bindparam("kind")) & (_o.namespace == bindparam("namespace"))
    return _pair_lines(tables.objects).where(same, after).limit(PAGE)


def _wanted() -> Select[Any]:
    """The objects of a kind and a JSON list of [namespace, name]."""
    item = func.json_each(bindparam("names", type_=Text)).table_valued("value", name="wanted")
    part = [func.json_extract(item.c.value, literal_column(f"'$[{index}]'")) for index in (0, 1)]
    key = (_o.kind == bindparam("kind")) & (_o.namespace == part[0]) & (_o.name == part[1])
    return _pair_lines(item.join(tables.objects, key))


_ONE = Query(_pair_lines(tables.objects).add_columns(_o.kind).where(_o.uid == bindparam("uid")))
_PAGE_OF_KIND = packed(_page())
_PAGE_OF_NAMESPACE = packed(_page_inside())
_BY_NAMES = packed(_wanted())


def unpack_desired(link: Link, query: Query, **values: Any) -> list[Desired]:
    """The objects of a packed query over ``desired_lines``."""
    return link.unpack(query, _DESIRED_LIST, **values)


def entry(link: Link, uid: str) -> Entry | None:
    """One object with what was observed of it."""
    row = link.row(_ONE, uid=uid)
    if row is None:
        return None
    ((desired, observed),) = decode(_PAIRS[row[1]], f"[{row[0]}]", link.path)
    return Entry(desired, observed)


def decode_observed(link: Link, kind: str, body: str) -> Observed:
    """What a row of ``observed`` holds."""
    found: Observed = decode(_OBSERVED[kind], body, link.path)
    return found


def all_entries(link: Link) -> list[Entry]:
    """Every object, ordered by kind, namespace, name."""
    with collector_at_rest():
        return [item for kind in sorted(_PAIRS) for item in _of_kind(link, kind)]


def _of_kind(link: Link, kind: str) -> Iterator[Entry]:
    return (entry for page in pages(link, kind) for entry in page)


def pages(link: Link, kind: str, namespace: str = "", after: Place = FIRST) -> Iterator[list[Entry]]:
    """The objects of a kind (in one namespace, if given) that stand behind ``after``, page by page."""
    while True:
        if namespace:
            page = _entries(link, _PAGE_OF_NAMESPACE, kind, namespace=namespace, name=after.name, uid=after.uid)
        else:
            page = _entries(link, _PAGE_OF_KIND, kind, **after._asdict())
        if page:
            yield page
        if len(page) < PAGE:
            return
        last = page[-1].desired
        after = Place(last.key.namespace, last.key.name, last.uid)


def entries_of(link: Link, keys: Iterable[Key]) -> list[Entry]:
    """The objects of those keys, in the order of ``all_entries``."""
    names: dict[str, list[tuple[str, str]]] = {}
    for key in set(keys):
        names.setdefault(key.kind, []).append((key.namespace, key.name))
    return [item for kind in sorted(names) for item in _entries(link, _BY_NAMES, kind, names=encode(names[kind]))]


def _entries(link: Link, query: Query, kind: str, **values: Any) -> list[Entry]:
    pairs = link.unpack(query, _PAIRS[kind], kind=kind, **values)
    return [Entry(desired, observed) for desired, observed in pairs]
