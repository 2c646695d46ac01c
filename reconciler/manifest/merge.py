"""Declarative apply and merge patch, on plain values.

A document here is ``{"labels", "annotations", "spec"}``. A *field* is a leaf: a scalar, a whole list without merge
keys, or an empty map. Entries of lists with merge keys (``keys`` in the kind's annotated types) are told apart by
those, so that managers can share a list: there the entry itself, with its keys, is a field too. Keys and values are
compared by what they mean: ``/data`` and ``/data/`` are one entry, ``1Mi`` and ``1024Ki`` one value. Nothing given is
changed.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from reconciler.kinds import table
from reconciler.manifest import paths
from reconciler.model.fields import Node

Document = dict[str, Any]
#: parts of a document that managers share
PARTS = ("labels", "annotations", "spec")


class Entry(NamedTuple):
    """A step to an entry of a list: the name and the meaning of each merge key."""

    keys: tuple[tuple[str, Any], ...]


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
            _remove(made, path, kind)
    merging = _Merging(_shared(theirs))
    return {part: merging.merge(made[part], new.get(part, {}), _part(kind, part), (part,)) for part in PARTS}


def clashes(new: Document, live: Document, others: Mapping[str, Document], kind: str) -> list[Clash]:
    """The fields that ``new`` would give another value than the live one, of which another manager applied a
    version."""
    present = _meanings(live, kind)
    wanted = _meanings(new, kind)
    changed = {path for path, value in wanted.items() if path in present and not _same(present[path], value)}
    found = []
    for manager in sorted(others):
        applied = fields(others[manager], kind)
        found += [Clash(render(path), manager) for path in applied if path in changed]
    return found


def without(document: Document, taken: Document, kind: str) -> Document:
    """``document`` less the fields that ``taken`` has with another value: what remains a manager's after another took
    them by force."""
    theirs = _meanings(taken, kind)
    made = copy.deepcopy(document)
    for path, value in _meanings(document, kind).items():
        if path in theirs and not _same(theirs[path], value):
            _remove(made, path, kind)
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
    return {path: value for path, value, _ in _all(document, kind)}


def _meanings(document: Document, kind: str) -> dict[FieldPath, Any]:
    """Every field of ``document`` with what its value means."""
    return {path: node.meaning(value) if node is not None else value for path, value, node in _all(document, kind)}


def _all(document: Document, kind: str) -> Iterator[tuple[FieldPath, Any, Node | None]]:
    for part in PARTS:
        yield from _leaves(document.get(part, {}), _part(kind, part), (part,))


def render(path: FieldPath) -> str:
    """The path as people write it: ``spec.env[name=A].value``."""
    text = ""
    for step in path:
        if isinstance(step, Entry):
            text += "[" + ",".join(f"{name}={value}" for name, value in step.keys) + "]"
        else:
            text = text + paths.render((step,)) if text and not step.isidentifier() else f"{text}.{step}".lstrip(".")
    return text


def _part(kind: str, part: str) -> Node | None:
    """The description of a part of the document; labels and annotations need none."""
    return table.spec_fields(kind) if part == "spec" else None


def _below(node: Node | None, name: str) -> Node | None:
    return node.fields.get(name) if node is not None else None


def _leaves(value: Any, node: Node | None, path: FieldPath) -> Iterator[tuple[FieldPath, Any, Node | None]]:
    if isinstance(value, dict) and (value or len(path) == 1):
        for key, entry in value.items():
            yield from _leaves(entry, _below(node, key), (*path, key))
    elif value and (item := _keyed(value, node)) is not None and node is not None:
        for entry in value:
            step = _entry(entry, node)
            yield (*path, step), None, None
            for key in (name for name in entry if name not in node.field.keys):
                yield from _leaves(entry[key], _below(item, key), (*path, step, key))
    else:
        yield path, value, node


def _keyed(value: Any, node: Node | None) -> Node | None:
    """What an entry is, of a list of maps with merge keys; any other list (nobody checked it) is one value."""
    if node is None or not node.field.keys or not isinstance(value, list):
        return None
    return node.item if all(isinstance(entry, dict) for entry in value) else None


def _entry(entry: dict[str, Any], node: Node) -> Entry:
    return Entry(tuple(zip(node.field.keys, map(_plain, node.key(entry)), strict=True)))


def _plain(value: Any) -> Any:
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else value


def _shared(theirs: Iterable[FieldPath]) -> frozenset[FieldPath]:
    """The lists of which other managers have entries."""
    return frozenset(path[:at] for path in theirs for at, step in enumerate(path) if isinstance(step, Entry))


class _Merging:
    """Puts a new version over what is live. ``shared`` are the lists whose order is not this manager's to set."""

    def __init__(self, shared: frozenset[FieldPath]) -> None:
        self._shared = shared

    def merge(self, live: Any, new: Any, node: Node | None, path: FieldPath) -> Any:
        if isinstance(new, dict) and isinstance(live, dict):
            made = dict(live)
            for key, value in new.items():
                made[key] = self._over(made, key, value, _below(node, key), (*path, key))
            return made
        if node is not None and _keyed(new, node) is not None and _keyed(live, node) is not None:
            return self._list(live, new, node, path)
        return copy.deepcopy(new)

    def _over(self, live: dict[Any, Any], key: Any, value: Any, node: Node | None, path: FieldPath) -> Any:
        return self.merge(live[key], value, node, path) if key in live else copy.deepcopy(value)

    def _list(self, live: list[Any], new: list[Any], node: Node, path: FieldPath) -> list[Any]:
        """In the order of ``new`` where it names all entries and nobody shares them, else in the order of ``live``."""
        present = {_entry(entry, node): entry for entry in live}
        wanted = {_entry(entry, node): entry for entry in new}
        if present.keys() <= wanted.keys() and path not in self._shared:
            order = list(wanted)
        else:
            order = [*present, *(step for step in wanted if step not in present)]
        return [
            self._over(present, step, wanted[step], node.item, (*path, step)) if step in wanted else present[step]
            for step in order
        ]


def _remove(document: Document, path: FieldPath, kind: str) -> None:
    """Takes the field out, and the maps and lists that it leaves empty."""
    trail: list[tuple[Any, int | str]] = []
    at: Any = document
    node: Node | None = None
    for step in path:
        place = _place(at, step, node)
        if place is None:
            return
        trail.append((at, place))
        at = at[place]
        if isinstance(step, Entry):
            node = node.item if node is not None else None
        else:
            node = _below(node, step) if len(trail) > 1 else _part(kind, step)
    parent, place = trail.pop()
    del parent[place]
    while len(trail) > 1:
        parent, place = trail.pop()
        if parent[place]:
            return
        del parent[place]


def _place(parent: Any, step: Step, node: Node | None) -> int | str | None:
    """Where in ``parent`` the step leads; None: nowhere."""
    if isinstance(step, str):
        return step if isinstance(parent, dict) and step in parent else None
    if node is None or _keyed(parent, node) is None:
        return None
    return next((index for index, entry in enumerate(parent) if _entry(entry, node) == step), None)


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON, sets aside: true is not 1."""
    return json.dumps(one, sort_keys=True, default=sorted) == json.dumps(other, sort_keys=True, default=sorted)
