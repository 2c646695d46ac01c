"""Label and field selectors, in Kubernetes' syntax.

Labels: ``app=web``, ``app==web``, ``app!=web``, ``app in (web, api)``, ``app notin (web)``, ``app`` (present),
``!app`` (absent), joined by commas: all must hold. As in Kubernetes, ``!=`` and ``notin`` also match an object
that lacks the label. Fields: ``metadata.name=web``, ``status.phase!=Running``, joined by commas.

An empty text selects everything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from reconciler import errors

Operator = Literal["in", "notin", "exists", "absent"]

#: the fields a field selector may ask for
FIELDS: tuple[str, ...] = ("metadata.name", "metadata.namespace", "status.phase")

_TOKEN = re.compile(r"\s*(==|!=|[=!(),]|[^\s=!(),]+)")
_NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?\Z")
_PREFIX = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*\Z")
_PUNCTUATION = frozenset("=!(),") | {"==", "!="}


class Requirement(NamedTuple):
    """One condition on one label. ``values`` is empty for ``exists`` and ``absent``."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        if self.operator == "in":
            return value in self.values
        if self.operator == "notin":
            return value not in self.values
        return (value is None) == (self.operator == "absent")


class LabelSelector(NamedTuple):
    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether all requirements hold for ``labels``."""
        return all(requirement.matches(labels) for requirement in self.requirements)


class FieldRequirement(NamedTuple):
    field: str
    value: str
    equal: bool

    def matches(self, obj: Mapping[str, Any]) -> bool:
        section, _, name = self.field.partition(".")
        found = (obj.get(section) or {}).get(name) or ""
        return (found == self.value) == self.equal


class FieldSelector(NamedTuple):
    requirements: tuple[FieldRequirement, ...] = ()

    def matches(self, obj: Mapping[str, Any]) -> bool:
        """Whether all requirements hold for ``obj``, an object as the API shows it."""
        return all(requirement.matches(obj) for requirement in self.requirements)


def parse(text: str) -> LabelSelector:
    """The label selector that ``text`` means. Raises ``errors.Invalid`` saying what was expected where."""
    return LabelSelector(_Parser(text).selector())


def parse_fields(text: str) -> FieldSelector:
    """The field selector that ``text`` means. Raises ``errors.Invalid``, for a field not in ``FIELDS`` too."""
    return FieldSelector(tuple(_field(term.strip(), text) for term in text.split(",") if term.strip()))


def _field(term: str, text: str) -> FieldRequirement:
    field, operator, value = re.match(r"([^=!]*)(==|!=|=|)(.*)\Z", term, re.DOTALL).groups()  # type: ignore[union-attr]
    if not operator:
        raise errors.Invalid(f"field selector {text!r}: expected FIELD=VALUE or FIELD!=VALUE instead of {term!r}")
    if field.strip() not in FIELDS:
        raise errors.Invalid(
            f"field selector {text!r}: unknown field {field.strip()!r}, expected one of {', '.join(FIELDS)}"
        )
    return FieldRequirement(field.strip(), value.strip(), operator != "!=")


class _Parser:
    """A recursive descent over the tokens of one label selector."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _TOKEN.findall(text)
        self._at = 0

    def selector(self) -> tuple[Requirement, ...]:
        if not self._tokens:
            return ()
        found = [self._requirement()]
        while self._peek() is not None:
            self._expect(",")
            found.append(self._requirement())
        return tuple(found)

    def _requirement(self) -> Requirement:
        if self._peek() == "!":
            self._next()
            return Requirement(self._key(), "absent")
        key = self._key()
        operator = self._peek()
        if operator is None or operator == ",":
            return Requirement(key, "exists")
        self._next()
        if operator in ("=", "=="):
            return Requirement(key, "in", frozenset([self._value()]))
        if operator == "!=":
            return Requirement(key, "notin", frozenset([self._value()]))
        if operator == "in":
            return Requirement(key, "in", self._values())
        if operator == "notin":
            return Requirement(key, "notin", self._values())
        raise self._problem(f"expected =, !=, in, notin or a comma instead of {operator!r}")

    def _key(self) -> str:
        token = self._next()
        prefix, slash, name = token.rpartition("/")
        if not _NAME.match(name) or (slash and not (_PREFIX.match(prefix) and len(prefix) <= 253)):
            raise self._problem(f"expected a label's name instead of {token!r}")
        return token

    def _value(self) -> str:
        token = self._peek()
        if token is None or token in _PUNCTUATION:
            return ""
        self._next()
        if not _NAME.match(token):
            allowed = "at most 63 of letters, digits, '-', '_' and '.', beginning and ending with a letter or digit"
            raise self._problem(f"{token!r} cannot be a label's value: {allowed}")
        return token

    def _values(self) -> frozenset[str]:
        self._expect("(")
        values = {self._value()}
        while self._peek() == ",":
            self._next()
            values.add(self._value())
        self._expect(")")
        return frozenset(values)

    def _peek(self) -> str | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _next(self) -> str:
        token = self._peek()
        self._at += 1
        return token or ""

    def _expect(self, wanted: str) -> None:
        found = self._next()
        if found != wanted:
            instead = f"instead of {found!r}" if found else "at the end"
            raise self._problem(f"expected {wanted!r} {instead}")

    def _problem(self, what: str) -> errors.Invalid:
        return errors.Invalid(f"label selector {self._text!r}: {what}")
