"""What differs between the spec a thing was made from and the spec that is wanted now.

A field that was written neither then nor now has not changed, whatever the defaults say: an upgrade with a new
default restarts nothing. A field written in either is compared by its effective values, the recorded ones with those
of today's defaults, and by what these mean: another spelling of a value is no change. What an edit does, which entries
of lists belong together, and which spellings are one is read from the spec's annotated types (``model.fields``).
"""

from __future__ import annotations

from typing import Any

import msgspec

from reconciler.model import fields
from reconciler.model.fields import Node, Spec
from reconciler.model.plan import FieldChange


class _Unwritten:
    """Stands for a value that the user did not write."""


_UNWRITTEN = _Unwritten()


def spec_changes(then: dict[str, Any], was: Spec, now: dict[str, Any], wanted: Spec) -> list[FieldChange]:
    """The changed fields in the order of the spec. ``then`` and ``now`` are what was written, ``was`` and ``wanted``
    what that means."""
    changes: list[FieldChange] = []
    for name, node in fields.of(type(wanted)).fields.items():
        found = _Comparison(in_place=node.field.in_place)
        written = (then.get(name, _UNWRITTEN), now.get(name, _UNWRITTEN))
        found.values(f"spec.{name}", node, *written, node.value(was, name), node.value(wanted, name))
        changes += found.changes
    return changes


class _Comparison:
    """Walks one top-level field. In each method ``then`` and ``now`` are what was written, ``was`` and ``wanted``
    what that means.
    """

    def __init__(self, in_place: bool) -> None:
        self.changes: list[FieldChange] = []
        self._in_place = in_place

    def values(self, path: str, node: Node, then: Any, now: Any, was: Any, wanted: Any) -> None:
        if (then is _UNWRITTEN and now is _UNWRITTEN) or was == wanted:
            return
        if isinstance(was, Spec) and type(was) is type(wanted):
            self._structs(path, node, then, now, was, wanted)
        elif node.item is not None and isinstance(was, tuple) and isinstance(wanted, tuple):
            self._lists(path, node, then, now, was, wanted)
        else:
            self._differs(path, node, was, wanted)

    def _structs(self, path: str, node: Node, then: Any, now: Any, was: Spec, wanted: Spec) -> None:
        for name, below in node.fields.items():
            written = (_written(then, name), _written(now, name))
            self.values(f"{path}.{name}", below, *written, below.value(was, name), below.value(wanted, name))

    def _lists(self, path: str, node: Node, then: Any, now: Any, was: tuple[Any, ...], wanted: tuple[Any, ...]) -> None:
        """By the entries' keys, if they have some and these are unique; else as a whole."""
        before, after = _by_key(node, then, was), _by_key(node, now, wanted)
        if before is None or after is None or (node.field.ordered and _reordered(list(before), list(after))):
            self._differs(path, node, was, wanted)
            return
        assert node.item is not None
        for key in dict.fromkeys((*before, *after)):
            nothing = (_UNWRITTEN, None)
            (written_then, entry_was), (written_now, entry_now) = before.get(key, nothing), after.get(key, nothing)
            self.values(f"{path}[{key}]", node.item, written_then, written_now, entry_was, entry_now)

    def _differs(self, path: str, node: Node, was: Any, wanted: Any) -> None:
        same = node.meaning(was) == node.meaning(wanted)
        if same and not node.field.record_spelling:
            return
        self.changes.append(
            FieldChange(path=path, old=_plain(was), new=_plain(wanted), in_place=same or self._in_place)
        )


def _written(value: Any, name: str) -> Any:
    return value.get(name, _UNWRITTEN) if isinstance(value, dict) else _UNWRITTEN


def _by_key(node: Node, written: Any, entries: tuple[Any, ...]) -> dict[str, tuple[Any, Any]] | None:
    """key → (as written, its meaning); None if entries have no keys or not unique ones."""
    texts = list(written) if isinstance(written, (list, tuple)) else []
    if not node.field.keys or len(texts) != len(entries):
        return None
    names = node.field.named or node.field.keys
    found = {
        "/".join(map(str, node.key(entry, names))): (text, entry) for text, entry in zip(texts, entries, strict=True)
    }
    return found if len(found) == len(entries) else None


def _reordered(before: list[str], after: list[str]) -> bool:
    return before != after and sorted(before) == sorted(after)


def _plain(value: Any) -> Any:
    """As plain JSON values."""
    return msgspec.to_builtins(value) if isinstance(value, (Spec, tuple)) else value
