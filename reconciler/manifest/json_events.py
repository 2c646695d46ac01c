"""JSON text (RFC 8259) as events: no recursion, and no value before its limits were checked."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Generator, Iterator
from json import decoder

from reconciler.manifest import events

_SPACE = re.compile(r"[ \t\n\r]*")
_PLAIN_STRING = re.compile(r'"([^"\\\x00-\x1f]*)"')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WORD = re.compile(r"[-A-Za-z0-9_+.]+")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_MAX_NUMBER = 40
_MAX_INTEGER = 2**63 - 1


class _Place:
    """Line and column of growing positions, without counting anything twice."""

    def __init__(self, text: str) -> None:
        self._text, self._at, self._line, self._start = text, 0, 1, 0

    def of(self, position: int) -> tuple[int, int]:
        lines = self._text.count("\n", self._at, position)
        if lines:
            self._line += lines
            self._start = self._text.rfind("\n", self._at, position) + 1
        self._at = position
        return self._line, position - self._start + 1


def parse(text: str) -> Iterator[events.Event]:
    """The events of the one document that ``text`` is. Raises ``events.Broken``."""
    place = _Place(text)
    position = _skip(text, 0)
    if position == len(text):
        return
    yield events.Event(events.DOCUMENT, *place.of(position))
    position = yield from _value(text, position, place)
    position = _skip(text, position)
    if position != len(text):
        raise events.Broken("not valid JSON: something follows the end of the document", *place.of(position))
    yield events.Event(events.END, *place.of(position))


def _value(text: str, position: int, place: _Place) -> Generator[events.Event, None, int]:
    """Yields one whole node, returns where it ended. ``open_`` holds the closing bracket of each open collection."""
    open_: list[str] = []
    while True:
        char = text[position : position + 1]
        if char in ("{", "["):
            yield events.Event(events.MAP if char == "{" else events.LIST, *place.of(position))
            open_.append("}" if char == "{" else "]")
            position = _skip(text, position + 1)
            if text[position : position + 1] != open_[-1]:
                position = yield from _key(text, position, place, open_)
                continue
        else:
            event, position = _scalar(text, position, place)
            yield event
            position = _skip(text, position)
        while open_ and text[position : position + 1] == open_[-1]:
            yield events.Event(events.CLOSE, *place.of(position))
            open_.pop()
            position = _skip(text, position + 1)
        if not open_:
            return position
        if text[position : position + 1] != ",":
            raise events.Broken(
                f"not valid JSON: expected ',' or '{open_[-1]}', found {_found(text, position)}", *place.of(position)
            )
        position = yield from _key(text, _skip(text, position + 1), place, open_)


def _key(text: str, position: int, place: _Place, open_: list[str]) -> Generator[events.Event, None, int]:
    """In an object: yields the key. Returns where the value starts."""
    if open_[-1] == "]":
        return position
    if text[position : position + 1] != '"':
        raise events.Broken(
            f"not valid JSON: expected a key in double quotes, found {_found(text, position)}", *place.of(position)
        )
    event, position = _scalar(text, position, place)
    yield event
    position = _skip(text, position)
    if text[position : position + 1] != ":":
        raise events.Broken(f"not valid JSON: expected ':', found {_found(text, position)}", *place.of(position))
    return _skip(text, position + 1)


def _scalar(text: str, position: int, place: _Place) -> tuple[events.Event, int]:
    line, column = place.of(position)
    if text[position : position + 1] == '"':
        value, end = _string(text, position, line, column)
        return events.Event(events.SCALAR, line, column, value), end
    number = _NUMBER.match(text, position)
    word = _WORD.match(text, position)
    if number is not None and word is not None and number.end() == word.end():
        return events.Event(events.SCALAR, line, column, _number(number, line, column)), number.end()
    if word is None or word[0] not in _WORDS:
        raise events.Broken(f"not valid JSON: expected a value, found {_found(text, position)}", line, column)
    return events.Event(events.SCALAR, line, column, _WORDS[word[0]]), word.end()


def _string(text: str, position: int, line: int, column: int) -> tuple[str, int]:
    plain = _PLAIN_STRING.match(text, position)
    if plain is not None:
        return plain[1], plain.end()
    try:
        return decoder.scanstring(text, position + 1, True)  # type: ignore[attr-defined,no-any-return]
    except json.JSONDecodeError as error:
        raise events.Broken(
            f"not valid JSON: {error.msg[:1].lower()}{error.msg[1:].removesuffix(' at')}", line, column
        ) from None


def _number(found: re.Match[str], line: int, column: int) -> int | float:
    digits = found[0]
    if len(digits) > _MAX_NUMBER:
        raise events.Broken(f"the number has {len(digits)} characters: at most {_MAX_NUMBER} are allowed", line, column)
    value = float(digits) if found[1] or found[2] else int(digits)
    if not math.isfinite(value) or (isinstance(value, int) and not -_MAX_INTEGER - 1 <= value <= _MAX_INTEGER):
        raise events.Broken(f"the number {digits} is too large", line, column)
    return value


def _skip(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position


def _found(text: str, position: int) -> str:
    word = _WORD.match(text, position)
    if word is not None:
        return repr(word[0][:40])
    return repr(text[position]) if position < len(text) else "the end of the text"
