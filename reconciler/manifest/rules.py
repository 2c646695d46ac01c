"""What a schema cannot say: values with a grammar of their own, entries that are given twice, rules across fields.

Which they are is read from the kind's annotated types (``model.fields``) and its rules (``kinds/KIND/spec.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconciler import errors
from reconciler.kinds import table
from reconciler.kinds.base.rules import Written
from reconciler.model.fields import Node, canonical
from reconciler.model.findings import Finding, Path, quote
from reconciler.model.keys import Key


def check(kind: str, key: Key, spec: Written) -> list[Finding]:
    """What is wrong with ``spec`` beyond its schema. ``spec`` is sane: what the schema found wrong was taken out, wrong
    entries of lists are None."""
    found = list(_values(table.spec_fields(kind), spec, ("spec",)))
    return found + [finding for rule in table.rules(kind) for finding in rule(key, spec)]


def _values(node: Node, value: Any, path: Path) -> Iterator[Finding]:
    if isinstance(value, dict):
        for name, given in value.items():
            below = node.fields.get(name)
            if below is not None and below.checked:
                yield from _values(below, given, (*path, name))
    elif isinstance(value, list):
        if node.item is not None:
            yield from _entries(node, node.item, value, path)
    elif node.field.form is not None and value is not None:
        try:
            node.field.form(value)
        except errors.Invalid as error:
            yield Finding(path, error.message)


def _entries(node: Node, item: Node, value: list[Any], path: Path) -> Iterator[Finding]:
    if item.checked:
        for index, entry in enumerate(value):
            yield from _values(item, entry, (*path, index))
    if len(node.field.keys) == 1:
        yield from _twice(node, value, path)


def _twice(node: Node, value: list[Any], path: Path) -> Iterator[Finding]:
    """Entries of one key. Lists with several keys have rules of their own."""
    assert node.item is not None
    (name,) = node.field.keys
    form = node.item.fields[name].field.form
    seen: dict[str, int] = {}
    for index, entry in enumerate(value):
        if entry is None:
            continue
        shown = entry[name] if form is None else canonical(form, entry[name])
        first = seen.setdefault(shown, index)
        if first != index:
            said = f"{quote(shown)} is {node.field.repeated} twice: first in {path[0]}.{path[-1]}[{first}]"
            yield Finding((*path, index, name), said)
