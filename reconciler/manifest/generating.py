"""The schemas, made from the annotated types: what `make reference` writes to ``schemas/``.

At run time nothing calls this: the daemon and the command line read the files.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from reconciler.kinds import table
from reconciler.manifest import contract
from reconciler.model import fields, kinds, metadata

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PLACE = "https://pydock.dev/schemas/v1/"
Pairs = Iterator[tuple[str, Any]]


def texts() -> dict[str, str]:
    """The text of each file in ``schemas/``."""
    made = {contract.METADATA: _metadata(), **{contract.file_of(kind.name): _kind(kind) for kind in kinds.KINDS}}
    return {file: _text(schema) for file, schema in made.items()}


def schema(node: fields.Node, of_spec: bool = False) -> contract.Schema:
    """The schema of one field and all below it. ``of_spec``: its fields are the top-level ones of a spec, which say
    what an edit does."""
    return dict(_pairs(node, of_spec))


def _text(made: contract.Schema) -> str:
    return msgspec.json.format(msgspec.json.encode(made), indent=2).decode() + "\n"


def _head(file: str, title: str, doc: str) -> contract.Schema:
    return {"$schema": _DIALECT, "$id": _PLACE + file, "title": title, "description": doc, "type": "object"}


def _metadata() -> contract.Schema:
    node = msgspec.structs.replace(fields.of(metadata.Metadata), field=metadata.FIELD)
    return _head(contract.METADATA, "Metadata", metadata.FIELD.doc) | schema(node)


def _kind(kind: kinds.Kind) -> contract.Schema:
    spec, document = table.spec_fields(kind.name), table.document(kind.name)
    spec = msgspec.structs.replace(spec, field=document.spec)
    needed = ["spec"] if any(field.required for field in spec.fields.values()) else []
    properties = {
        "apiVersion": {
            "description": "The version of this schema.", "type": "string", "const": kinds.API_VERSION
        },
        "kind": {"description": "The kind of the object.", "type": "string", "const": kind.name},
        "metadata": {"$ref": contract.METADATA},
        "spec": schema(spec, of_spec=True),
        "status": {
            "description": "What the server observed. Ignored when written.", "type": "object", "readOnly": True
        },
    }  # fmt: skip
    return {
        **_head(contract.file_of(kind.name), kind.name, document.doc),
        "required": ["apiVersion", "kind", "metadata", *needed],
        "additionalProperties": False,
        "properties": properties,
    }


def _pairs(node: fields.Node, of_spec: bool) -> Pairs:
    if node.field.doc:
        yield "description", node.field.doc
    if node.types:
        yield "type", node.types[0] if len(node.types) == 1 else _wider(node.types)
    yield from _bounds(node)
    yield from _map(node, of_spec)
    yield from _list(node)
    yield from _default(node)


def _wider(types: tuple[str, ...]) -> list[str]:
    """A number includes the whole ones."""
    return [name for name in types if name != "integer" or "number" not in types]


def _bounds(node: fields.Node) -> Pairs:
    field = node.field
    bounds = {
        "enum": list(node.choices), "minLength": field.min_length, "maxLength": field.max_length,
        "pattern": field.pattern, "x-pydock-expects": field.expects, "minimum": field.least, "maximum": field.most,
        "maxItems": field.max_items, "maxProperties": field.max_properties, "readOnly": field.read_only,
        "x-pydock-short": dict(field.short),
    }  # fmt: skip
    return ((name, value) for name, value in bounds.items() if value or (value == 0 and value is not False))


def _map(node: fields.Node, of_spec: bool) -> Pairs:
    if node.names is not None and node.values is not None:
        names = schema(node.names)
        names.pop("type")
        yield "propertyNames", names
        yield "additionalProperties", schema(node.values)
    if not node.fields:
        return
    yield "additionalProperties", False
    yield "properties", {name: _property(below, of_spec) for name, below in node.fields.items()}
    if needed := [name for name, below in node.fields.items() if below.required]:
        yield "required", needed
    if node.field.later:
        yield "x-pydock-later", list(node.field.later)
    if node.field.one_of:
        yield "oneOf", [{"required": [name]} for name in node.field.one_of]


def _property(node: fields.Node, of_spec: bool) -> contract.Schema:
    made = schema(node)
    if of_spec:
        made["x-pydock-change"] = "in-place" if node.field.in_place else "recreate"
    return made


def _list(node: fields.Node) -> Pairs:
    if node.item is None:
        return
    yield "items", schema(node.item)
    yield "x-kubernetes-list-type", "map" if node.field.keys else "atomic"
    if node.field.keys:
        yield "x-kubernetes-list-map-keys", list(node.field.keys)


def _default(node: fields.Node) -> Pairs:
    """A scalar's: an empty list or map needs no words."""
    default = node.default if node.default is not None else node.field.default
    if isinstance(default, str | int | float):
        yield "default", default
