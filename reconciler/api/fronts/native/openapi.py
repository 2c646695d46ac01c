"""The OpenAPI document (3.1), made from the declarations."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from reconciler import __version__
from reconciler.api import body
from reconciler.requests import table
from reconciler.requests.declaration import COLLECTION, Ask, Field, Route, fields, routes

_TYPES = {"bytes": "application/octet-stream", "health": "text/plain"}


def document() -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for ask in table.ASKS.values():
        for route in routes(ask):
            operations = paths.setdefault(route.path, {})
            made = _operation(ask, route)
            method = route.method.lower()
            operations[method] = _joined(operations[method], made) if method in operations else made
    return {
        "openapi": "3.1.0",
        "info": {"title": "pydock", "version": __version__, "summary": "The HTTP API of pydockd, on its unix socket."},
        "paths": dict(sorted(paths.items())),
    }


def _joined(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Two declarations at one path and method (list and watch, apply and patch): the request says which one it is."""
    known = {each["name"] for each in first["parameters"]}
    others = [each for each in second["parameters"] if each["name"] not in known]
    content = first.get("requestBody", {}).get("content", {}) | second.get("requestBody", {}).get("content", {})
    made = first | {
        "summary": f"{first['summary']} Or: {second['summary']}",
        "parameters": [*first["parameters"], *others],
        "x-pydock-jobs": [*first["x-pydock-jobs"], *second["x-pydock-jobs"]],
    }
    return made | ({"requestBody": {"required": True, "content": content}} if content else {})


def _operation(ask: Ask, route: Route) -> dict[str, Any]:
    found = [field for field in fields(ask) if field.name not in route.fixed and field.name != "kind"]
    parameters = [*(_in_path(name) for name in re.findall(r"{(\w+)}", route.path))]
    in_path = {each["name"] for each in parameters}
    resource = ask.access.resource.replace("{plural}", route.kind.plural if route.kind else "")
    made: dict[str, Any] = {
        "operationId": _id(ask, route),
        "summary": ask.summary,
        "parameters": parameters,
        "responses": {
            "200": {"description": ask.reply, "content": {_TYPES.get(ask.reply, "application/json"): {}}},
            "default": {"description": "a Kubernetes Status object that says what is wrong"},
        },
        "x-pydock-jobs": [ask.name],
        "x-pydock-access": {"verb": ask.access.verb, "resource": resource},
    }
    asked = [field for field in found if field.place == "query" or ask.path.startswith(COLLECTION)]
    parameters += [_parameter(field) for field in asked if field.name not in in_path and field.name not in _BODY]
    return made | _body(ask, found)


#: fields that are the body itself where objects are written
_BODY = ("document", "patch", "namespace", "name")


def _id(ask: Ask, route: Route) -> str:
    parts = [ask.name, route.kind.singular if route.kind else "", *map(str, route.fixed.values())]
    scope = "all" if route.kind and route.kind.namespaced and "{namespace}" not in route.path else ""
    return "_".join(part for part in (*parts, scope) if part)


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _parameter(field: Field) -> dict[str, Any]:
    return {"name": field.shown, "in": "query", "required": False, "schema": _schema(field)}


def _body(ask: Ask, found: list[Field]) -> dict[str, Any]:
    if ask.descriptor == "in":
        return {"requestBody": {"required": True, "content": {body.ARCHIVE: {}}}}
    if ask.path.startswith(COLLECTION):
        types = _OBJECTS.get(ask.name, ())
        content: dict[str, Any] = {each: {"schema": {"type": "object"}} for each in types}
        return {"requestBody": {"required": True, "content": content}} if content else {}
    members = [field for field in found if field.place == "body"]
    if ask.method == "GET" or not members:
        return {}
    schema = {
        "type": "object",
        "properties": {field.shown: _schema(field) for field in members},
        "required": [field.shown for field in members if field.required],
        "additionalProperties": False,
    }
    return {"requestBody": {"required": True, "content": {body.JSON: {"schema": schema}}}}


_OBJECTS: dict[str, tuple[str, ...]] = {
    "post": (body.JSON,),
    "put": (body.JSON,),
    "patch": (body.MERGE_PATCH,),
    "apply": (body.APPLY_YAML, body.APPLY_JSON),
}


def _schema(field: Field) -> dict[str, Any]:
    """The JSON Schema of a field, with what it refers to inside."""
    schema = msgspec.json.schema(field.type)
    defined = schema.pop("$defs", {})
    found = _resolved(schema, defined)
    assert isinstance(found, dict)
    found.pop("name", None)
    return found if field.required or field.default is None else found | {"default": msgspec.to_builtins(field.default)}


def _resolved(schema: Any, defined: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_resolved(each, defined) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _resolved(defined[schema["$ref"].rpartition("/")[2]], defined)
    return {key: _resolved(value, defined) for key, value in schema.items()}
