"""A request made from what a client sent: path, query and body, checked by its declaration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, get_args, get_origin

import falcon
import msgspec

from reconciler import errors, manifest
from reconciler.api import body
from reconciler.api.fronts.native import query
from reconciler.api.fronts.native.query import Query
from reconciler.api.problems import Refused
from reconciler.model import kinds
from reconciler.model.credentials import Credentials
from reconciler.requests.declaration import Ask, Field, Request, fields

_NAMES: dict[type, str] = {
    str: "a string",
    int: "a whole number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}


class Arguments:
    """How the arguments of one ``Ask`` are read."""

    def __init__(self, ask: Ask, fixed: Mapping[str, Any]) -> None:
        self._ask, self._fixed = ask, fixed
        self._fields = [field for field in fields(ask) if field.name not in fixed]
        self._query = [field for field in self._fields if field.place == "query"]
        self._body = [field for field in self._fields if field.place == "body"]
        # kubectl says how long it waits, whatever it asks
        patience = ["timeout"] if ask.method == "GET" and not ask.streams else []
        self._allowed = [*(field.shown for field in self._query), *patience]

    def read(self, req: falcon.Request, path: dict[str, str]) -> Request:
        """Raises ``Refused`` naming what is wrong."""
        asked = Query(req, self._allowed)
        for name, value in path.items():
            query.check_name("namespace" if name == "namespace" else f"{kinds.CONTAINER.singular} name", value)
        values = {**self._fixed, **path}
        values |= {field.name: _of_query(asked, field) for field in self._query if asked.has(field.shown)}
        if self._ask.method == "POST" and self._ask.descriptor != "in":
            values |= self._members(self._document(req))
        return self._made(values)

    def _document(self, req: falcon.Request) -> dict[str, Any]:
        if not self._body:
            if body.read_optional_json(req):
                raise Refused(400, "there are no arguments here: send no body, or an empty object")
            return {}
        return body.read_json(req, body.MANY_LIMIT if self._ask.large else body.LIMIT)

    def _members(self, document: dict[str, Any]) -> dict[str, Any]:
        """The members of a body by the names of the fields: exactly those, by type."""
        known = {field.shown: field for field in self._body}
        found: dict[str, Any] = {}
        if "credentials" in known and document.get("credentials") is not None:
            # what is wrong with them is not repeated
            found["credentials"] = _credentials(document["credentials"])
        for name in [*(document.keys() - known.keys()), *(each for each in known if each not in document)]:
            if name in document or known[name].required:
                problem = "unknown" if name in document else "missing"
                raise Refused(400, f"{problem} member {name!r}: expected {', '.join(known)}")
        for name, value in document.items():
            if name not in found and not (name == "credentials" and value is None):
                found[known[name].name] = _member(name, value, known[name])
        return found

    def _made(self, values: dict[str, Any]) -> Request:
        try:
            return msgspec.convert(values, self._ask.request)
        except msgspec.ValidationError as error:
            raise Refused(400, self._problem(str(error))) from None

    def _problem(self, message: str) -> str:
        """msgspec's sentence, with the field as the client knows it."""
        what, _, place = message.partition(" - at `$.")
        name, rest = _split(place.rstrip("`"))
        field = next((field for field in self._fields if field.name == name), None)
        if field is None:
            return message
        kind = "query parameter" if field.place == "query" else "member"
        return f"the {kind} {field.shown + rest!r}: {what[0].lower()}{what[1:]}"


def _split(place: str) -> tuple[str, str]:
    """``config.env[...]`` as ``config`` and ``.env[...]``"""
    end = next((index for index, letter in enumerate(place) if letter in ".["), len(place))
    return place[:end], place[end:]


def _bare(type: Any) -> Any:
    """Without annotations: ``list[str]`` is ``list``."""
    while get_origin(type) is Annotated:
        type = get_args(type)[0]
    return get_origin(type) or type


def _of_query(asked: Query, field: Field) -> Any:
    kind = _bare(field.type)
    if field.shown == "object":
        return asked.key(field.shown)
    if kind is bool:
        return asked.flag(field.shown)
    if kind is int:
        least, most = _bounds(field.type)
        return asked.number(field.shown, field.default, least, most)
    text = asked.text(field.shown)
    if kind is list:
        return text.split(",")
    return _json(field, text) if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else text


def _json(field: Field, text: str) -> Any:
    where = f"the query parameter {field.shown!r}"
    try:
        return manifest.parse_json(text.encode()) if text else {}
    except errors.Invalid as error:
        raise Refused(400, f"{where}: {error}") from None


def _bounds(type: Any) -> tuple[int, int]:
    found = [meta for meta in getattr(type, "__metadata__", ()) if isinstance(meta, msgspec.Meta)]
    least = next((int(meta.ge) for meta in found if meta.ge is not None), 0)
    most = next((int(meta.le) for meta in found if meta.le is not None), 10**12)
    return least, most


def _member(name: str, value: Any, field: Field) -> Any:
    kind = _bare(field.type)
    if kind in _NAMES and type(value) is not kind:
        raise Refused(400, f"the member {name!r} is {value!r}: expected {_NAMES[kind]}")
    if name == "manager":
        return query.check_manager(value)
    return value


def _credentials(given: object) -> Credentials:
    try:
        return msgspec.convert(given, Credentials)
    except msgspec.ValidationError:
        raise Refused(
            400,
            "the member 'credentials' must be an object with a username (1 to 255 characters, no colon) and a password "
            "(1 to 16384 characters), both without control characters",
        ) from None
