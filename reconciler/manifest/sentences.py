"""What jsonschema finds wrong, in sentences for the person who wrote the manifest.

jsonschema's own messages quote the schema and the whole value; here each keyword has its own wording. Three annotations
of ours help: ``x-pydock-expects`` words a pattern, ``x-pydock-later`` names fields that are not supported yet,
``x-pydock-short`` knows other tools' one-line spellings of a map.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.manifest import contract, paths
from reconciler.model.findings import Finding as Finding
from reconciler.model.findings import quote as quote

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError


class Fault(NamedTuple):
    """``value`` is not what a keyword of ``schema``, with this ``argument``, asks for."""

    value: Any
    argument: Any
    schema: contract.Schema
    path: paths.Path


def of(error: ValidationError) -> Iterator[Finding]:
    """The findings that one error of jsonschema stands for."""
    assert isinstance(error.schema, dict)
    path, in_key = tuple(error.absolute_path), _names_a_key(error)
    if in_key:
        path = (*path, str(error.instance))
    fault = Fault(error.instance, error.validator_value, error.schema, path)
    for finding in _WORDINGS[str(error.validator)](fault):
        yield finding._replace(at_key=True) if in_key else finding


def _names_a_key(error: ValidationError) -> bool:
    """Whether ``propertyNames`` refused a key: the error's path is then the map's. (A field may have that name too.)"""
    steps = list(error.relative_schema_path)
    return steps[-2:-1] == ["propertyNames"] and steps[-3:-2] != ["properties"]


def describe(value: Any) -> str:
    """A value in a sentence, short."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text {quote(value)}"
    return "a map" if isinstance(value, dict) else "a list"


def one_of_texts(value: Any, allowed: list[str], path: paths.Path) -> Iterator[Finding]:
    """``value`` is none of ``allowed``, or no text at all."""
    if isinstance(value, str):
        yield from _enum(Fault(value, allowed, {}, path))
    else:
        yield from _type(Fault(value, "string", {}, path))


def _choice(value: str, allowed: list[str]) -> str:
    few = len(allowed) <= 12
    known = f"the {len(allowed)} known names, such as {', '.join(allowed[:4])}"
    hint = f"; did you mean {near}?" if (near := _nearest(value, allowed)) else ""
    return f"found {quote(value)}, expected one of {', '.join(allowed) if few else known}{hint}"


def _nearest(value: str, allowed: Iterable[str]) -> str:
    """What was probably meant: the same but for case or ``CAP_``, or else much like it; empty if nothing is."""
    known = list(allowed)
    bare = value.upper().removeprefix("CAP_")
    alike = [name for name in known if name in (value, bare)] or [n for n in known if n.lower() == value.lower()]
    found = alike or difflib.get_close_matches(value[:64], known, n=1, cutoff=0.6)
    return found[0] if found else ""


def _foreign(value: str) -> str:
    """A character that only looks as if it were right is named."""
    odd = next((char for char in value if not char.isascii()), "")
    return f"; it contains {unicodedata.name(odd, 'a character')} (U+{ord(odd):04X})" if odd else ""


_TYPE_WORDS = {
    "object": "a map",
    "array": "a list",
    "string": "a text",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "null": "nothing",
}


def _type(fault: Fault) -> Iterator[Finding]:
    names, value = fault.argument, fault.value
    names = [names] if isinstance(names, str) else names
    expected = " or ".join(_TYPE_WORDS[name] for name in names if name != "null")
    scalar = "string" in names and not isinstance(value, dict | list)
    advice = "; leave the field out, or give it a value" if value is None else ""
    if isinstance(value, str | int):
        advice = _longhand(str(value), fault.schema.get("x-pydock-short", {}))
    yield Finding(fault.path, f"found {describe(value)}, expected {expected}{advice}", scalar=scalar)


def _longhand(value: str, known: dict[str, str]) -> str:
    """What to write in place of another tool's one-line spelling."""
    for pattern, template in known.items():
        if found := re.fullmatch(pattern, value[:1024]):
            return "; write " + "".join(char for char in found.expand(template) if char.isprintable())
    return ""


# A value of another type breaks const, enum and oneOf as well as the type beside them: it is told once.


def _const(fault: Fault) -> Iterator[Finding]:
    if isinstance(fault.value, str):
        yield Finding(fault.path, f"found {describe(fault.value)}, expected {quote(fault.argument)}")


def _enum(fault: Fault) -> Iterator[Finding]:
    if isinstance(fault.value, str):
        yield Finding(fault.path, _choice(fault.value, fault.argument))


def _pattern(fault: Fault) -> Iterator[Finding]:
    expected = fault.schema.get("x-pydock-expects") or f"something like {fault.argument}"
    yield Finding(fault.path, f"{quote(fault.value)} is not {expected}{_foreign(fault.value)}")


def _min_length(fault: Fault) -> Iterator[Finding]:
    said = f"the text is shorter than {fault.argument} characters" if fault.value else "the text is empty"
    yield Finding(fault.path, said)


def _max_length(fault: Fault) -> Iterator[Finding]:
    length, most = len(fault.value), fault.argument
    yield Finding(fault.path, f"the text has {length} characters: at most {most} are allowed")


def _range(fault: Fault) -> Iterator[Finding]:
    least, most = fault.schema.get("minimum"), fault.schema.get("maximum")
    if least is None or most is None:
        expected = f"at least {least}" if most is None else f"at most {most}"
    else:
        expected = f"{least} to {most}"
    yield Finding(fault.path, f"found {fault.value}, expected {expected}")


def _max_items(fault: Fault) -> Iterator[Finding]:
    yield Finding(fault.path, f"the list has {len(fault.value)} entries: at most {fault.argument} are allowed")


def _max_properties(fault: Fault) -> Iterator[Finding]:
    yield Finding(fault.path, f"the map has {len(fault.value)} entries: at most {fault.argument} are allowed")


def _required(fault: Fault) -> Iterator[Finding]:
    """Of all that are missing: jsonschema says the same once for each."""
    for name in fault.argument:
        if name not in fault.value:
            yield Finding((*fault.path, name), "required, but not given", at_key=True)


def _additional(fault: Fault) -> Iterator[Finding]:
    """Of all unknown fields: jsonschema tells of them in one error."""
    schema = fault.schema
    known = schema.get("properties", {})
    for key in fault.value:
        if key not in known:
            yield Finding((*fault.path, key), _unknown(key, known, schema.get("x-pydock-later", ())), at_key=True)


def _unknown(key: str, known: Iterable[str], later: Iterable[str]) -> str:
    if key in later:
        return "not yet supported"
    near = _nearest(key, known)
    advice = f"; did you mean {near}?" if near else f": expected {', '.join(known)}"
    return f"unknown field{advice}{_foreign(key)}"


def _one_of(fault: Fault) -> Iterator[Finding]:
    """Only choices that name one required field each."""
    if not isinstance(fault.value, dict):
        return
    names = [choice["required"][0] for choice in fault.argument]
    given = [name for name in names if name in fault.value]
    said = f"found {' and '.join(given)}" if given else "found none"
    yield Finding(fault.path, f"exactly one of {', '.join(names)} is needed: {said}")


_WORDINGS: dict[str, Callable[[Fault], Iterator[Finding]]] = {
    "type": _type,
    "const": _const,
    "enum": _enum,
    "pattern": _pattern,
    "minLength": _min_length,
    "maxLength": _max_length,
    "minimum": _range,
    "maximum": _range,
    "maxItems": _max_items,
    "maxProperties": _max_properties,
    "required": _required,
    "additionalProperties": _additional,
    "oneOf": _one_of,
}
#: the keywords that may fail, each with its wording
WORDED = frozenset(_WORDINGS)
