"""Declarative apply and merge patch, on plain values.

A document here is ``{"labels", "annotations", "spec"}``. A *field* is a leaf: a scalar, a whole list without merge
keys, or an empty map. Entries of lists with merge keys (``x-kubernetes-list-map-keys`` in the schemas) are told apart
by those, so that managers can share a list: there the entry itself, with its keys, is a field too. Nothing given is
changed.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from reconciler.manifest import contract, paths

Document = dict[str, Any]
#: parts of a document that managers share
PARTS = ("labels", "annotations", "spec")


class Entry(NamedTuple):
    """A step to an entry of a list: for each merge key its name, value and default."""

    keys: tuple[tuple[str, Any, Any], ...]


Step = str | Entry
FieldPath = tuple[Step, ...]


class Clash(NamedTuple):
    """A field that ``manager`` applied with another value. ``path`` is its text."""

    path: str
    manager: str


def three_way(
    last: Document | None, live: Document, new: Document, kind: str, others: Iterable[Document] = ()
) -> Document:
    """``live`` after a manager whose version was ``last`` applied ``new``.

    Fields that ``last`` had and ``new`` lacks are removed, unless one of ``others`` (what other managers applied) has
    them; fields of ``new`` are set; the rest stays. Entries of shared lists keep their order, new ones follow.
    """
    made: Document = {part: copy.deepcopy(live.get(part, {})) for part in PARTS}
    theirs = {path for document in others for path in fields(document, kind)}
    kept = theirs | fields(new, kind).keys()
    for path in fields(last or {}, kind):
        if path not in kept:
            _remove(made, path)
    merging = _Merging(_shared(theirs))
    schema = _schema(kind)
    return {part: merging.merge(made[part], new.get(part, {}), schema.get(part, {}), (part,)) for part in PARTS}


def clashes(new: Document, live: Document, others: Mapping[str, Document], kind: str) -> list[Clash]:
    """The fields that ``new`` would give another value than the live one, of which another manager applied a
    version."""
    present = fields(live, kind)
    changed = {path for path, value in fields(new, kind).items() if path in present and not _same(present[path], value)}
    found = []
    for manager in sorted(others):
        applied = fields(others[manager], kind)
        found += [Clash(render(path), manager) for path in applied if path in changed]
    return found


def without(document: Document, taken: Document, kind: str) -> Document:
    """``document`` less the fields that ``taken`` has with another value: what remains a manager's after another took
    them by force."""
    theirs = fields(taken, kind)
    made = copy.deepcopy(document)
    for path, value in fields(document, kind).items():
        if path in theirs and not _same(theirs[path], value):
            _remove(made, path)
    return made


def merge_patch(live: Any, patch: Any) -> Any:
    """RFC 7386: null removes, maps merge, everything else replaces."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    made = dict(live) if isinstance(live, dict) else {}
    for key, value in patch.items():
        if value is None:
            made.pop(key, None)
        else:
            made[key] = merge_patch(made.get(key), value)
    return made


def fields(document: Document, kind: str) -> dict[FieldPath, Any]:
    """Every field of ``document`` with its value."""
    schema = _schema(kind)
    return {
        path: value for part in PARTS for path, value in _leaves(document.get(part, {}), schema.get(part, {}), (part,))
    }


def render(path: FieldPath) -> str:
    """The path as people write it: ``spec.env[name=A].value``."""
    text = ""
    for step in path:
        if isinstance(step, Entry):
            text += "[" + ",".join(f"{name}={value}" for name, value, _ in step.keys) + "]"
        else:
            text = text + paths.render((step,)) if text and not step.isidentifier() else f"{text}.{step}".lstrip(".")
    return text


def _schema(kind: str) -> dict[str, contract.Schema]:
    return {"spec": contract.spec_of(kind)}


def _leaves(value: Any, schema: contract.Schema, path: FieldPath) -> Iterator[tuple[FieldPath, Any]]:
    keys = _merge_keys(value, schema)
    if isinstance(value, dict) and (value or len(path) == 1):
        known = schema.get("properties", {})
        for key, entry in value.items():
            yield from _leaves(entry, known.get(key, {}), (*path, key))
    elif keys and value:
        for entry in value:
            step = _entry(entry, keys, schema["items"])
            yield (*path, step), None
            for key in (name for name in entry if name not in keys):
                yield from _leaves(entry[key], schema["items"]["properties"].get(key, {}), (*path, step, key))
    else:
        yield path, value


def _merge_keys(value: Any, schema: contract.Schema) -> list[str]:
    """The merge keys of a list whose entries are maps; a list that is otherwise (nobody checked it) is one value."""
    keys: list[str] = schema.get("x-kubernetes-list-map-keys", [])
    return keys if isinstance(value, list) and all(isinstance(entry, dict) for entry in value) else []


def _entry(entry: dict[str, Any], keys: list[str], item: contract.Schema) -> Entry:
    known = item["properties"]
    defaults = {key: known[key].get("default") for key in keys}
    return Entry(tuple((key, _plain(entry.get(key, defaults[key])), defaults[key]) for key in keys))


def _plain(value: Any) -> Any:
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else value


def _shared(theirs: Iterable[FieldPath]) -> frozenset[FieldPath]:
    """The lists of which other managers have entries."""
    return frozenset(path[:at] for path in theirs for at, step in enumerate(path) if isinstance(step, Entry))


class _Merging:
    """Puts a new version over what is live. ``shared`` are the lists whose order is not this manager's to set."""

    def __init__(self, shared: frozenset[FieldPath]) -> None:
        self._shared = shared

    def merge(self, live: Any, new: Any, schema: contract.Schema, path: FieldPath) -> Any:
        if isinstance(new, dict) and isinstance(live, dict):
            known = schema.get("properties", {})
            made = dict(live)
            for key, value in new.items():
                made[key] = self._over(made, key, value, known.get(key, {}), (*path, key))
            return made
        keys = _merge_keys(new, schema)
        if keys and isinstance(live, list) and _merge_keys(live, schema):
            return self._list(live, new, keys, schema["items"], path)
        return copy.deepcopy(new)

    def _over(self, live: dict[Any, Any], key: Any, value: Any, schema: contract.Schema, path: FieldPath) -> Any:
        return self.merge(live[key], value, schema, path) if key in live else copy.deepcopy(value)

    def _list(
        self, live: list[Any], new: list[Any], keys: list[str], item: contract.Schema, path: FieldPath
    ) -> list[Any]:
        """In the order of ``new`` where it names all entries and nobody shares them, else in the order of ``live``."""
        present = {_entry(entry, keys, item): entry for entry in live}
        wanted = {_entry(entry, keys, item): entry for entry in new}
        if present.keys() <= wanted.keys() and path not in self._shared:
            order = list(wanted)
        else:
            order = [*present, *(step for step in wanted if step not in present)]
        return [
            self._over(present, step, wanted[step], item, (*path, step)) if step in wanted else present[step]
            for step in order
        ]


def _remove(document: Document, path: FieldPath) -> None:
    """Takes the field out, and the maps and lists that it leaves empty."""
    trail: list[tuple[Any, Step]] = []
    at: Any = document
    for step in path:
        if _child(at, step) is _MISSING:
            return
        trail.append((at, step))
        at = _child(at, step)
    _drop(*trail.pop())
    while len(trail) > 1:
        parent, step = trail.pop()
        if _child(parent, step):
            return
        _drop(parent, step)


_MISSING = object()


def _child(parent: Any, step: Step) -> Any:
    if isinstance(step, str):
        return parent.get(step, _MISSING) if isinstance(parent, dict) else _MISSING
    if not isinstance(parent, list):
        return _MISSING
    return next((entry for entry in parent if _matches(entry, step)), _MISSING)


def _matches(entry: Any, step: Entry) -> bool:
    return isinstance(entry, dict) and all(
        _plain(entry.get(key, default)) == value for key, value, default in step.keys
    )


def _drop(parent: Any, step: Step) -> None:
    if isinstance(step, str):
        del parent[step]
    else:
        parent[:] = [entry for entry in parent if not _matches(entry, step)]


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: true is not 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
