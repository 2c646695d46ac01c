"""Judges whether a new version of a file may be half-written.

Nothing marks the end of a manifest, and the first half of a good one is often good too. What a half lacks is the other
half. So a version that drops something of what is in force is suspect, and a version that is what is in force with only
its end missing is more so. Suspicion delays an edit; it never refuses one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from reconciler.model.keys import Key
from reconciler.model.objects import Document

#: ``""``: nothing is missing; ``loss``: an object or a field is; ``cut``: and nothing is new
Suspicion = Literal["", "loss", "cut"]


def judge(new: Mapping[Key, Document], held: Mapping[Key, Document], whole_lines: bool) -> Suspicion:
    """Compares a file's new documents with those that it holds in force. ``whole_lines``: the text ends with a newline,
    or with a bracket that closes it: then its last value is complete."""
    lost = held.keys() - new.keys()
    changed = [key for key in new if key in held and _parts(new[key]) != _parts(held[key])]
    added = [key for key in new if key not in held]
    drops = bool(lost) or any(_drops(_parts(new[key]), _parts(held[key])) for key in changed)
    if not drops and whole_lines:
        return ""
    return "cut" if _is_cut(new, held, lost, changed, added) else "loss" if drops else ""


def _parts(document: Document) -> dict[str, Any]:
    """What a person wrote of an object; an empty part is as good as none."""
    parts = {"labels": document.labels, "annotations": document.annotations, "spec": document.spec}
    return {name: part for name, part in parts.items() if part}


def _is_cut(
    new: Mapping[Key, Document],
    held: Mapping[Key, Document],
    lost: set[Key],
    changed: Sequence[Key],
    added: Sequence[Key],
) -> bool:
    """Whether ``new`` is ``held`` with its end missing: at most one document is not as it was, and that one ends
    early."""
    if len(changed) + len(added) > 1:
        return False
    if changed:
        one, other = new[changed[0]], held[changed[0]]
        same = (one.labels, one.annotations) == (other.labels, other.annotations)
        return same and _is_part(one.spec, other.spec)
    # a name that was cut names another object
    return bool(lost) and all(any(_names_part(key, whole) for whole in lost) for key in added)


def _names_part(key: Key, whole: Key) -> bool:
    return key.kind == whole.kind and whole.name.startswith(key.name) and whole.namespace.startswith(key.namespace)


def _drops(new: Any, old: Any) -> bool:
    """Whether a field of ``old``, or an item of one of its lists, is not in ``new``."""
    if isinstance(old, dict):
        return not isinstance(new, dict) or any(name not in new or _drops(new[name], old[name]) for name in old)
    if isinstance(old, list):
        return not isinstance(new, list) or len(new) < len(old) or any(map(_drops, new, old))
    return False


def _is_part(new: Any, old: Any) -> bool:
    """Whether ``new`` is ``old``, or what is left of it when its end is cut off. Mappings are in the order in which
    they were written."""
    if new == old:
        return True
    if isinstance(old, dict):
        return isinstance(new, dict) and _is_beginning([*new.items()], [*old.items()])
    if isinstance(old, list):
        return isinstance(new, list) and _is_beginning([*enumerate(new)], [*enumerate(old)])
    return not isinstance(new, dict | list) and str(old).startswith(str(new))


def _is_beginning(new: Sequence[tuple[Any, Any]], old: Sequence[tuple[Any, Any]]) -> bool:
    """Whether all of ``new`` is at its place in ``old``, but for the last value, which may be a part."""
    if not new or len(new) > len(old) or [*new[:-1]] != [*old[: len(new) - 1]]:
        return not new
    (name, last), (there, whole) = new[-1], old[len(new) - 1]
    return bool(name == there) and _is_part(last, whole)
