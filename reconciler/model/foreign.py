"""JSON that others wrote, read as Go's encoding/json reads it: the registries, builders and tools that write it are
written in Go, and so is nearly everything else that reads it.

- A key fits a field whatever its case (``user`` is ``User``). A field that is named twice has what came last; objects
  and maps are merged.
- ``null`` is as if nothing were said: the field's default; in a list or a map, the zero value.
- What a field's type does not name is left alone. Another type than the field's is an error.
- Bytes that are no UTF-8, and halves of surrogate pairs, are read as U+FFFD.

The types are ``msgspec.Struct`` in which every field has a default, lists, tuples of one type, maps from text, text,
numbers, and unions of these; a union's members are told apart by msgspec.
"""

from __future__ import annotations

import functools
import re
import types
import typing
from typing import Any, TypeVar

import msgspec

from reconciler import errors

T = TypeVar("T")

#: values in one document: each takes up to 0.25 KB of memory
MAX_VALUES = 250_000
_ZERO = {str: "", int: 0, float: 0.0, bool: False}
#: ``\ud800`` to ``\udfff``, where the backslash is not itself escaped; pairs first
_SURROGATES = re.compile(
    rb"(?<!\\)((?:\\\\)*)(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


def decode(raw: bytes, type: type[T], what: str) -> T:
    """``raw`` as ``type``. Raises ``Permanent``: "``what`` is malformed: …"; the caller bounds the bytes."""
    try:
        return msgspec.convert(_or_zero(shaped(values(raw, what), type), type), type)
    except (msgspec.ValidationError, RecursionError) as error:
        raise errors.Permanent(f"{what} is malformed: {error}") from None


def values(raw: bytes, what: str) -> Any:
    """``raw`` as dicts, lists, text and numbers. Raises ``Permanent`` as ``decode`` does."""
    if raw.count(b",") + raw.count(b"[") + raw.count(b"{") > MAX_VALUES:
        raise errors.Permanent(f"{what} is malformed: it has more than the {MAX_VALUES} values allowed")
    try:
        return msgspec.json.decode(_readable(raw))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise errors.Permanent(f"{what} is malformed: {error}") from None


def _readable(raw: bytes) -> bytes:
    """With U+FFFD in the place of what is no text."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        raw = raw.decode(errors="replace").encode()
    return _SURROGATES.sub(lambda found: found[0] if len(found[2]) > 6 else found[1] + rb"\ufffd", raw)


def shaped(value: Any, type: Any) -> Any:
    """``value`` with the keys that ``type`` wants, and nothing said where it says null."""
    if value is None:
        return value
    if isinstance(value, dict):
        return _shaped_object(value, type)
    if isinstance(value, list) and (item := _item(type, (list, tuple))) is not None:
        return [_or_zero(shaped(each, item), item) for each in value]
    return value


def _shaped_object(value: dict[str, Any], type: Any) -> Any:
    struct = next((each for each in _members(type) if _is_struct(each)), None)
    if struct is None:
        item = _item(type, (dict,))
        return value if item is None else {key: _or_zero(shaped(each, item), item) for key, each in value.items()}
    named = _fields(struct)
    made: dict[str, Any] = {}
    for key, each in value.items():
        name, kind = named.get(key) or named.get(folded(key)) or (key, Any)
        if each is None:
            continue
        found = shaped(each, kind)
        former = made.get(name)
        made[name] = {**former, **found} if isinstance(former, dict) and isinstance(found, dict) else found
    return made


def folded(key: str) -> str:
    """What keys that differ in case only have in common. Letter by letter, so that the length stays."""
    return "".join(low if len(low := letter.casefold()) == 1 else letter for letter in key)


@functools.cache
def _fields(struct: Any) -> dict[str, tuple[str, Any]]:
    """By name, and by folded name: the name in JSON and the type."""
    found = {field.encode_name: (field.encode_name, field.type) for field in msgspec.structs.fields(struct)}
    return {folded(name): each for name, each in found.items()} | found


@functools.cache
def _members(type: Any) -> tuple[Any, ...]:
    """The types that a union is of, without None; any other type is one."""
    if typing.get_origin(type) in (typing.Union, types.UnionType):
        return tuple(each for each in typing.get_args(type) if each is not types.NoneType)
    return (type,)


def _item(type: Any, containers: tuple[Any, ...]) -> Any:
    """The type of what is in a list, tuple or map; None for other types."""
    found = [each for each in _members(type) if typing.get_origin(each) in containers]
    return typing.get_args(found[0])[0 if dict not in containers else 1] if found else None


def _is_struct(type: Any) -> bool:
    return isinstance(type, msgspec.StructMeta)


def _or_zero(value: Any, type: Any) -> Any:
    """The zero value for null, as far as the type has one."""
    if value is not None:
        return value
    first = _members(type)[0]
    if _is_struct(first) or typing.get_origin(first) is dict:
        return {}
    return [] if typing.get_origin(first) in (list, tuple) else _ZERO.get(first)
