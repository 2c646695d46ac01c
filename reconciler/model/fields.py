"""What the types of a spec say about each field, beside the type itself.

``Annotated[str, Field("Where the program starts.", form=forms.path)]`` describes one field once. Its documentation, its
schema, what an edit of it does to a running thing, how several managers share it, and which spellings of it are one
value are all read from there: ``of`` gives the description of a whole spec as a tree of ``Node``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from reconciler import errors

#: from a valid value to what it means: two spellings of one meaning give equal results. Raises ``errors.Invalid`` with
#: a sentence for a value that the schema lets through and that means nothing
Form = Callable[[Any], Any]


class Spec(msgspec.Struct, frozen=True, gc=False, rename="camel", kw_only=True):
    """A part of an effective spec: made from what the user wrote, with defaults applied. It does not validate.

    Encoded with its defaults: the record of what was made must keep those of the version that made it."""


class Field(msgspec.Struct, frozen=True, kw_only=False):
    """One field, or one entry of a list.

    ``doc`` is a sentence for people. ``in_place``: an edit takes effect while the container (the network) goes on; it
    counts at the top-level fields of a spec only. ``choices`` (of a text without ``Literal``), ``pattern``, ``least``,
    ``most``, ``max_length`` and their like bound the value in the schema; ``expects`` words the pattern. ``form`` gives
    the canonical form of a value. ``default`` is what a field left out means where the type's own default is None.

    Lists of maps: ``keys`` tell entries apart when several managers share the list, ``named`` (by default the same)
    when a change is shown, ``repeated`` words two entries with one key; ``ordered``: their order means something.
    ``short`` are other tools' one-line spellings of an entry: (pattern, what to write instead).

    Maps: ``later`` are fields that are refused as not yet supported; ``one_of`` are fields of which exactly one is
    needed. ``record_spelling``: another spelling of the same value is recorded, in place. ``nullable``: null may stand
    there too. ``read_only``: the server sets it.
    """

    doc: str
    in_place: bool = False
    choices: tuple[str, ...] = ()
    pattern: str = ""
    expects: str = ""
    least: int | None = None
    most: int | None = None
    min_length: int | None = None
    max_length: int | None = None
    max_items: int | None = None
    max_properties: int | None = None
    form: Form | None = None
    default: Any = None
    keys: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    repeated: str = "given"
    ordered: bool = False
    short: tuple[tuple[str, str], ...] = ()
    later: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    record_spelling: bool = False
    nullable: bool = False
    read_only: bool = False


class Node(msgspec.Struct, frozen=True):
    """A field with its place in the tree. ``types`` are JSON Schema's names. ``attribute`` is the struct's word for the
    field, ``extras`` what else its annotation holds. ``fields`` are those of a map by their JSON names, ``item`` is the
    entry of a list, ``names`` and ``values`` describe a map with free keys. ``checked``: here or below is a form, or a
    list with keys."""

    field: Field
    types: tuple[str, ...]
    attribute: str = ""
    required: bool = False
    default: Any = None
    choices: tuple[str, ...] = ()
    fields: Mapping[str, Node] = {}
    item: Node | None = None
    names: Node | None = None
    values: Node | None = None
    extras: tuple[Any, ...] = ()
    checked: bool = False

    def meaning(self, value: Any) -> Any:
        """What ``value`` means, of an effective spec or as it was written: equal for all its spellings."""
        if value is None:
            value = self.field.default
        if value is None:
            return None
        if self.field.form is not None:
            return canonical(self.field.form, value)
        if self.item is not None and isinstance(value, (list, tuple)):
            return self._entries(value)
        if self.fields and isinstance(value, (Spec, dict)):
            return tuple(below.meaning(below.value(value, name)) for name, below in self.fields.items())
        return value

    def value(self, parent: Any, name: str) -> Any:
        """This field, called ``name``, of its parent; its default where a written map lacks it."""
        if isinstance(parent, dict):
            return parent.get(name, self.default)
        return getattr(parent, self.attribute)

    def key(self, entry: Any, names: tuple[str, ...] = ()) -> tuple[Any, ...]:
        """What tells an entry of this list from the others: the meaning of its merge keys, or of ``names``."""
        assert self.item is not None
        below, found = self.item.fields, []
        for name in names or self.field.keys:
            node = below[name]
            value, form = node.value(entry, name), node.field.form
            found.append(value if form is None else canonical(form, value))
        return tuple(found)

    def _entries(self, value: list[Any] | tuple[Any, ...]) -> Any:
        assert self.item is not None
        found = [self.item.meaning(entry) for entry in value]
        if not self.field.keys or self.field.ordered:
            return tuple(found)
        return sorted(found, key=repr)


def canonical(form: Form, value: Any) -> Any:
    """``form`` of a value that may be older than the checks of today: one that means nothing is compared as it is."""
    try:
        return form(value)
    except (errors.Invalid, ValueError, TypeError, AttributeError):
        return value


@cache
def of(spec: type[msgspec.Struct]) -> Node:
    """The description of a spec's type. Raises ``TypeError`` for a field without one."""
    return _node(Annotated[spec, Field("")])


_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null"}


def _node(annotation: Any, **place: Any) -> Node:
    inner, field, extras = _parts(annotation)
    members = [each for each in _members(inner) if each is not NoneType]
    shape: dict[str, Any] = {"types": (), "extras": extras, **place}
    for member in members:
        for name, value in _shape(member).items():
            shape[name] = shape["types"] + value if name == "types" else value
    if field.nullable:
        shape["types"] += ("null",)
    if field.choices:
        shape["choices"] = field.choices
    below = (*shape.get("fields", {}).values(), shape.get("item"))
    checked = field.form is not None or bool(field.keys) or any(each is not None and each.checked for each in below)
    return Node(field=field, checked=checked, **shape)


def _parts(annotation: Any) -> tuple[Any, Field, tuple[Any, ...]]:
    """The type, its ``Field``, and what else was annotated."""
    metadata = getattr(annotation, "__metadata__", ())
    found = [each for each in metadata if isinstance(each, Field)]
    if not found:
        raise TypeError(f"{annotation} has no Field: each field of a spec is described")
    return annotation.__origin__, found[-1], tuple(each for each in metadata if not isinstance(each, Field))


def _members(inner: Any) -> tuple[Any, ...]:
    return get_args(inner) if get_origin(inner) in (Union, UnionType) else (inner,)


def _shape(member: Any) -> dict[str, Any]:
    """What one type says: its JSON type, and what is below it."""
    origin = get_origin(member)
    if origin is Literal:
        return {"types": ("string",), "choices": get_args(member)}
    if origin is tuple:
        return {"types": ("array",), "item": _node(get_args(member)[0])}
    if origin is dict:
        names, values = get_args(member)
        return {"types": ("object",), "names": _node(names), "values": _node(values)}
    if origin is list:
        return {"types": ("array",)}
    if isinstance(member, type) and issubclass(member, msgspec.Struct):
        return {"types": ("object",), "fields": _fields(member)}
    return {"types": (_TYPES[member],)}


def _fields(struct: type[msgspec.Struct]) -> dict[str, Node]:
    return {
        each.encode_name: _node(
            each.type,
            attribute=each.name,
            required=each.required,
            default=None if each.default is msgspec.NODEFAULT else each.default,
        )
        for each in msgspec.structs.fields(struct)
    }
