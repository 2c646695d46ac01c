"""Checks values against the schemas and says what is wrong in sentences.

The schemas are plain JSON Schema 2020-12, of which this module knows the keywords in ``KEYWORDS`` (a test keeps the
schemas within them and compares each verdict with the jsonschema package's). It is an own checker because the sentences
need one branch a keyword anyway, and because it is fast enough (tens of thousands of specs a second, jsonschema one
thousand) to check all that is read. Beyond the standard: ``x-pydock-expects`` words a pattern, ``x-pydock-later`` names
fields that are not supported yet.
"""

from __future__ import annotations

import difflib
import functools
import re
import unicodedata
from collections.abc import Callable
from typing import Any, NamedTuple

from reconciler.manifest import contract, paths

#: what stops a flood: a person mends a few and tries again
MAX_FINDINGS = 100


class Finding(NamedTuple):
    """``at_key``: the key itself is wrong. ``scalar``: a text was meant, another scalar was found, which quotes may
    mend."""

    path: paths.Path
    message: str
    at_key: bool = False
    scalar: bool = False


Findings = list[Finding]
_Check = Callable[[contract.Schema, Any, Any, paths.Path, Findings], None]


def check(schema: contract.Schema, value: Any, path: paths.Path = ()) -> Findings:
    """All that is wrong with ``value``, at most ``MAX_FINDINGS``, in the order of the text."""
    findings: Findings = []
    _check(schema, value, path, findings)
    return findings


def _check(schema: contract.Schema, value: Any, path: paths.Path, findings: Findings) -> None:
    reference = schema.get("$ref")
    if reference is not None:
        schema = contract.read(reference)
    if len(findings) >= MAX_FINDINGS:
        return
    allowed = schema.get("type")
    if allowed is not None and not _is_type(allowed, value):
        findings.append(_wrong_type(allowed, value, path))
        return
    for keyword, check_keyword in _CHECKS_OF.get(type(value), ()):
        argument = schema.get(keyword)
        if argument is not None:
            check_keyword(schema, argument, value, path, findings)


def _is_type(allowed: str | list[str], value: Any) -> bool:
    names = _TYPES.get(type(value), ())
    return allowed in names if isinstance(allowed, str) else any(name in names for name in allowed)


_TYPES: dict[type, tuple[str, ...]] = {
    dict: ("object",),
    list: ("array",),
    str: ("string",),
    bool: ("boolean",),
    int: ("integer", "number"),
    float: ("number",),
    type(None): ("null",),
}
_TYPE_WORDS = {
    "object": "a map",
    "array": "a list",
    "string": "a text",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "null": "nothing",
}


def _wrong_type(allowed: str | list[str], value: Any, path: paths.Path) -> Finding:
    names = [allowed] if isinstance(allowed, str) else allowed
    expected = " or ".join(_TYPE_WORDS[name] for name in names if name != "null")
    scalar = "string" in names and not isinstance(value, dict | list)
    advice = "; leave the field out, or give it a value" if value is None else ""
    return Finding(path, f"found {describe(value)}, expected {expected}{advice}", scalar=scalar)


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


def quote(value: str) -> str:
    """A text in quotes, shortened, with nothing that a terminal would act on."""
    short = value if len(value) <= 60 else value[:57] + "..."
    return (
        '"'
        + "".join(
            char if char.isprintable() else char.encode("unicode_escape", "backslashreplace").decode() for char in short
        )
        + '"'
    )


def _const(schema: contract.Schema, const: Any, value: Any, path: paths.Path, findings: Findings) -> None:
    if value != const:
        findings.append(Finding(path, f"found {describe(value)}, expected {quote(const)}"))


def _enum(schema: contract.Schema, allowed: list[str], value: str, path: paths.Path, findings: Findings) -> None:
    if value in allowed:
        return
    bare = value.upper().removeprefix("CAP_")
    near = (
        [bare]
        if bare in allowed
        else [name for name in allowed if name.lower() == value.lower()] or _near(value, allowed)
    )
    hint = f"; did you mean {near[0]}?" if near else ""
    listed = (
        ", ".join(allowed)
        if len(allowed) <= 12
        else f"one of the {len(allowed)} known names, such as {', '.join(allowed[:4])}"
    )
    findings.append(
        Finding(path, f"found {quote(value)}, expected {'one of ' if len(allowed) <= 12 else ''}{listed}{hint}")
    )


@functools.cache
def compiled(pattern: str) -> re.Pattern[str]:
    """A schema's pattern as ECMA 262 means it: ``$`` is the very end, not before a last newline."""
    return re.compile(re.sub(r"\$$", r"\\Z", pattern))


def _pattern(schema: contract.Schema, pattern: str, value: str, path: paths.Path, findings: Findings) -> None:
    if compiled(pattern).search(value) is None:
        findings.append(Finding(path, mismatch(schema, value), at_key=False))


def mismatch(schema: contract.Schema, value: str) -> str:
    """Why ``value`` is not what the schema's pattern asks for."""
    expected = schema.get("x-pydock-expects") or f"something like {schema['pattern']}"
    return f"{quote(value)} is not {expected}{_foreign(value)}"


def _foreign(value: str) -> str:
    """A character that only looks as if it were right is named."""
    odd = next((char for char in value if not char.isascii()), "")
    return f"; it contains {unicodedata.name(odd, 'a character')} (U+{ord(odd):04X})" if odd else ""


def _min_length(schema: contract.Schema, least: int, value: str, path: paths.Path, findings: Findings) -> None:
    if len(value) < least:
        findings.append(
            Finding(path, "the text is empty" if not value else f"the text is shorter than {least} characters")
        )


def _max_length(schema: contract.Schema, most: int, value: str, path: paths.Path, findings: Findings) -> None:
    if len(value) > most:
        findings.append(Finding(path, f"the text has {len(value)} characters: at most {most} are allowed"))


def _minimum(schema: contract.Schema, least: float, value: float, path: paths.Path, findings: Findings) -> None:
    if value < least:
        findings.append(Finding(path, f"found {value}, expected {_range(schema)}"))


def _maximum(schema: contract.Schema, most: float, value: float, path: paths.Path, findings: Findings) -> None:
    if value > most:
        findings.append(Finding(path, f"found {value}, expected {_range(schema)}"))


def _range(schema: contract.Schema) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    return (
        f"{least} to {most}"
        if least is not None and most is not None
        else f"at least {least}"
        if most is None
        else f"at most {most}"
    )


def _items(
    schema: contract.Schema, item: contract.Schema, value: list[Any], path: paths.Path, findings: Findings
) -> None:
    for index, entry in enumerate(value):
        _check(item, entry, (*path, index), findings)


def _max_items(schema: contract.Schema, most: int, value: list[Any], path: paths.Path, findings: Findings) -> None:
    if len(value) > most:
        findings.append(Finding(path, f"the list has {len(value)} entries: at most {most} are allowed"))


def _max_properties(
    schema: contract.Schema, most: int, value: dict[str, Any], path: paths.Path, findings: Findings
) -> None:
    if len(value) > most:
        findings.append(Finding(path, f"the map has {len(value)} entries: at most {most} are allowed"))


def _properties(
    schema: contract.Schema, known: dict[str, Any], value: dict[str, Any], path: paths.Path, findings: Findings
) -> None:
    for key, entry in value.items():
        if key in known:
            _check(known[key], entry, (*path, key), findings)


def _required(
    schema: contract.Schema, names: list[str], value: dict[str, Any], path: paths.Path, findings: Findings
) -> None:
    for name in names:
        if name not in value:
            findings.append(Finding((*path, name), "required, but not given", at_key=True))


def _additional(
    schema: contract.Schema, rest: Any, value: dict[str, Any], path: paths.Path, findings: Findings
) -> None:
    known = schema.get("properties", {})
    for key, entry in value.items():
        if key in known:
            continue
        if rest is False:
            findings.append(Finding((*path, key), _unknown(schema, key, known), at_key=True))
        elif isinstance(rest, dict):
            _check(rest, entry, (*path, key), findings)
        if len(findings) >= MAX_FINDINGS:
            return


def _unknown(schema: contract.Schema, key: str, known: dict[str, Any]) -> str:
    if key in schema.get("x-pydock-later", ()):
        return "not yet supported"
    near = [name for name in known if name.lower() == key.lower()] or _near(key, list(known))
    if near:
        return f"unknown field; did you mean {near[0]}?{_foreign(key)}"
    return f"unknown field: expected {', '.join(known)}{_foreign(key)}"


def _near(word: str, known: list[str]) -> list[str]:
    return difflib.get_close_matches(word[:64], known, n=1, cutoff=0.6)


def _property_names(
    schema: contract.Schema, names: contract.Schema, value: dict[str, Any], path: paths.Path, findings: Findings
) -> None:
    for key in value:
        for finding in check(names, key):
            findings.append(finding._replace(path=(*path, key), at_key=True))


def _one_of(
    schema: contract.Schema, choices: list[contract.Schema], value: dict[str, Any], path: paths.Path, findings: Findings
) -> None:
    """Only choices that name one required field each."""
    names = [choice["required"][0] for choice in choices]
    given = [name for name in names if name in value]
    if len(given) != 1:
        said = f"found {' and '.join(given)}" if given else "found none"
        findings.append(Finding(path, f"exactly one of {', '.join(names)} is needed: {said}"))


_ANY: dict[str, _Check] = {"const": _const}
_OF_STRING: dict[str, _Check] = {
    **_ANY,
    "enum": _enum,
    "minLength": _min_length,
    "maxLength": _max_length,
    "pattern": _pattern,
}
_OF_NUMBER: dict[str, _Check] = {**_ANY, "minimum": _minimum, "maximum": _maximum}
_OF_LIST: dict[str, _Check] = {"maxItems": _max_items, "items": _items}
_OF_OBJECT: dict[str, _Check] = {
    "maxProperties": _max_properties,
    "required": _required,
    "oneOf": _one_of,
    "propertyNames": _property_names,
    "properties": _properties,
    "additionalProperties": _additional,
}
_CHECKS_OF: dict[type, tuple[tuple[str, _Check], ...]] = {
    str: tuple(_OF_STRING.items()),
    int: tuple(_OF_NUMBER.items()),
    float: tuple(_OF_NUMBER.items()),
    list: tuple(_OF_LIST.items()),
    dict: tuple(_OF_OBJECT.items()),
}
#: the keywords that are checked; all others that the schemas use only annotate
KEYWORDS = frozenset({"$ref", "type", *_OF_STRING, *_OF_NUMBER, *_OF_LIST, *_OF_OBJECT})
