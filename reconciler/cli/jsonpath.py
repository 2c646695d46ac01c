r"""Templates of ``-o jsonpath=`` and ``wait --for=jsonpath=``, as kubectl's.

Text with expressions in braces: ``{.metadata.name}``, ``{.spec.ports[0].hostPort}``, ``{.items[*].metadata.name}``,
``{.metadata.labels.pydock\.dev/tier}`` or ``{.metadata.labels['pydock.dev/tier']}``, negative indices and slices,
``{.status.conditions[?(@.type=="Ready")].status}``, ``{..name}``, ``{"\n"}`` and ``{range .items[*]}…{end}``.
What is missing gives nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from reconciler import errors

Step = Callable[[Any], Iterator[Any]]
Part = Callable[[Any], Iterator[str]]

_EXPRESSION = re.compile(r"""\{((?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[^{}"'])*)\}""")
_STEP = re.compile(
    r"""\.\.(?P<deep>(?:\\.|[\w-])+)
    |\.\[(?P<dotted>[^\]]*)\]
    |\.(?P<field>(?:\\.|[^.\[\]\s{}'"()=<>!\\])+)
    |\[\s*(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)")\s*\]
    |\[\s*\?\((?P<filter>(?:"[^"]*"|'[^']*'|[^"')])*)\)\s*\]
    |\[\s*(?P<inside>[^\]]*?)\s*\]
    |(?P<dot>\.)(?=\Z)""",
    re.VERBOSE,
)
_FILTER = re.compile(r"""\s*@?(?P<path>[^=<>!]*?)\s*(?:(?P<operator>==|!=|<=|>=|<|>)\s*(?P<value>.+?)\s*)?\Z""")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda found, wanted: bool(found == wanted),
    "!=": lambda found, wanted: bool(found != wanted),
    "<": lambda found, wanted: bool(found < wanted),
    "<=": lambda found, wanted: bool(found <= wanted),
    ">": lambda found, wanted: bool(found > wanted),
    ">=": lambda found, wanted: bool(found >= wanted),
}


def render(template: str, value: Any) -> str:
    """``template`` filled in from ``value``. Raises ``errors.Invalid`` for a template that is none."""
    return "".join(text for part in parse(template) for text in part(value))


def find(template: str, value: Any) -> list[Any]:
    """What one expression, with or without its braces, finds in ``value``."""
    inner = template.strip()
    if inner.startswith("{") and inner.endswith("}"):
        inner = inner[1:-1]
    return walk(path(inner), value)


def parse(template: str) -> list[Part]:
    """The parts of a template; a text without braces is one expression."""
    if "{" not in template:
        template = "{" + template + "}"
    opened: list[tuple[list[Step], list[Part]]] = [([], [])]
    at = 0
    for found in _EXPRESSION.finditer(template):
        opened[-1][1].append(_text(_unbraced(template[at : found.start()], template)))
        _expression(found[1].strip(), opened, template)
        at = found.end()
    opened[-1][1].append(_text(_unbraced(template[at:], template)))
    if len(opened) > 1:
        raise errors.Invalid(f"jsonpath {template!r}: a range without its {{end}}")
    return opened[0][1]


def _unbraced(text: str, template: str) -> str:
    if "{" in text or "}" in text:
        raise errors.Invalid(f"jsonpath {template!r}: a brace without its partner")
    return text


def _expression(inner: str, opened: list[tuple[list[Step], list[Part]]], template: str) -> None:
    """Adds one expression to the innermost range, or begins or ends a range."""
    if inner.startswith("range "):
        opened.append((path(inner.removeprefix("range ")), []))
    elif inner == "end":
        if len(opened) == 1:
            raise errors.Invalid(f"jsonpath {template!r}: an {{end}} without its range")
        steps, body = opened.pop()
        opened[-1][1].append(_range(steps, body))
    elif inner[:1] in ('"', "'"):
        opened[-1][1].append(_text(_unquoted(inner)))
    else:
        opened[-1][1].append(_values(path(inner)))


def _text(text: str) -> Part:
    return lambda value: iter([text])


def _range(steps: list[Step], body: Sequence[Part]) -> Part:
    return lambda value: (text for each in walk(steps, value) for part in body for text in part(each))


def _values(steps: list[Step]) -> Part:
    return lambda value: iter([" ".join(map(show, walk(steps, value)))])


def show(value: Any) -> str:
    """A value as kubectl prints it: strings bare, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _unquoted(text: str) -> str:
    try:
        return str(json.loads(text if text[0] == '"' else '"' + text[1:-1].replace('"', '\\"') + '"'))
    except ValueError:
        raise errors.Invalid(f"jsonpath: {text} is not a quoted text") from None


def walk(steps: Sequence[Step], value: Any) -> list[Any]:
    """What ``steps`` find, one after the other, beginning at ``value``."""
    values = [value]
    for step in steps:
        values = [found for each in values for found in step(each)]
    return values


def path(text: str) -> list[Step]:
    """The steps of ``.spec.ports[0]``. Raises ``errors.Invalid`` naming the place where it stops being one."""
    rest = text.strip()
    rest = rest[1:] if rest[:1] in ("$", "@") else rest
    if rest and rest[0] not in ".[":
        rest = "." + rest
    steps: list[Step] = []
    at = 0
    while at < len(rest):
        found = _STEP.match(rest, at)
        if not found:
            raise errors.Invalid(f"jsonpath {text!r}: expected .FIELD or [INDEX] at {rest[at:]!r}")
        steps.append(_step(found, text))
        at = found.end()
    return steps


def _step(found: re.Match[str], text: str) -> Step:
    group, content = found.lastgroup or "", found[found.lastgroup or 0]
    if group in ("single", "double"):
        return _field(content)
    if group == "deep":
        return _deep(_unescaped(content))
    if group == "field":
        return _all if content == "*" else _field(_unescaped(content))
    if group == "filter":
        return _filter(content, text)
    return _self if group == "dot" else _index(content, text)


def _self(value: Any) -> Iterator[Any]:
    """``{.}``"""
    yield value


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _field(name: str) -> Step:
    return lambda value: iter([value[name]] if isinstance(value, dict) and name in value else [])


def _all(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        return iter(value.values())
    return iter(value if isinstance(value, list) else [])


def _deep(name: str) -> Step:
    def search(value: Any) -> Iterator[Any]:
        if isinstance(value, dict) and name in value:
            yield value[name]
        for each in _all(value):
            yield from search(each)

    return search


def _index(content: str, text: str) -> Step:
    if content == "*":
        return _all
    try:
        numbers = [int(part) if part.strip() else None for part in content.split(":")]
    except ValueError:
        numbers = []
    if not 1 <= len(numbers) <= 3 or (len(numbers) == 1 and numbers[0] is None) or 0 in numbers[2:]:
        raise errors.Invalid(f"jsonpath {text!r}: [{content}] is neither an index nor a slice nor a filter")
    if len(numbers) == 1:
        return _one(numbers[0] or 0)
    return lambda value: iter(value[slice(*numbers)] if isinstance(value, list) else [])


def _one(number: int) -> Step:
    def pick(value: Any) -> Iterator[Any]:
        if isinstance(value, list) and -len(value) <= number < len(value):
            yield value[number]

    return pick


def _filter(content: str, text: str) -> Step:
    found = _FILTER.match(content)
    if not found:
        raise errors.Invalid(f"jsonpath {text!r}: {content!r} is no filter")
    steps = path(found["path"])
    if not found["operator"]:
        return lambda value: (each for each in _all(value) if walk(steps, each))
    compare, wanted = _COMPARE[found["operator"]], _literal(found["value"], text)
    return lambda value: (each for each in _all(value) if _holds(compare, walk(steps, each), wanted))


def _holds(compare: Callable[[Any, Any], bool], found: list[Any], wanted: Any) -> bool:
    try:
        return any(compare(each, wanted) for each in found)
    except TypeError:
        return False


def _literal(word: str, text: str) -> Any:
    if word[:1] in ('"', "'"):
        return _unquoted(word)
    try:
        return json.loads(word)
    except ValueError:
        raise errors.Invalid(f"jsonpath {text!r}: {word} is neither a number nor a quoted text") from None
