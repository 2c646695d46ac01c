"""YAML text as events, by libyaml's event parser.

Composing (what PyYAML's loaders do) recurses and crashes on deep input; the event parser looks ahead a bounded
distance only, so a reader that stops at a limit is safe.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from reconciler.manifest import events, scalars

_STRING_TAG = "tag:yaml.org,2002:str"
#: libyaml searches all tag directives for each new one: they have no use here
_DIRECTIVE = re.compile(r"^%(?!YAML )", re.MULTILINE)
_TAB = "a tab stands where YAML wants spaces: indent with spaces"
_ADVICE = (
    ("found character '\\t'", _TAB),
    ("found a tab character", _TAB),
    ("found unknown escape character", "unknown escape in a double-quoted text: use single quotes, or write \\\\"),
    ("mapping values are not allowed", "a ':' stands where no key can be: check the indentation, or quote the text"),
    ("did not find expected key", "a key was expected here: check the indentation"),
    ("could not find expected ':'", "a key without ':': check the indentation"),
)


def parse(text: str) -> Iterator[events.Event]:
    """The events of all documents. Raises ``events.Broken`` where the text is no YAML, or uses tags or directives."""
    _refuse_directives(text)
    # The base class of CLoader: events only. PyYAML's stubs do not know it.
    parser: Any = yaml.cyaml.CParser(text)  # type: ignore[attr-defined]
    while True:
        try:
            event = parser.get_event()
        except yaml.YAMLError as error:
            raise _broken(error, text) from None
        if event is None:
            return
        translated = _HANDLERS[type(event)](event)
        if translated is not None:
            yield translated


def _refuse_directives(text: str) -> None:
    found = _DIRECTIVE.search(text)
    if found:
        raise events.Broken("directives are not supported", text.count("\n", 0, found.start()) + 1, 1)


def _broken(error: yaml.YAMLError, text: str) -> events.Broken:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    said = str(getattr(error, "problem", "") or getattr(error, "reason", "") or error).splitlines()
    message = said[0] if said else "cannot be read"
    advice = next((advice for part, advice in _ADVICE if part in message), message)
    if "cannot start any token" in message and mark:
        char = text[mark.index : mark.index + 1]
        advice = _TAB if char == "\t" else f"no plain text can start with {char!r}: quote it"
    return events.Broken(f"not valid YAML: {advice}", line, column)


def _nothing(event: Any) -> None:
    return None


def _document(event: Any) -> events.Event:
    return events.Event(events.DOCUMENT, event.start_mark.line + 1, event.start_mark.column + 1)


def _end(event: Any) -> events.Event:
    return events.Event(events.END, event.start_mark.line + 1, event.start_mark.column + 1)


def _map(event: Any) -> events.Event:
    return _collection(events.MAP, event)


def _list(event: Any) -> events.Event:
    return _collection(events.LIST, event)


def _collection(what: int, event: Any) -> events.Event:
    line, column = event.start_mark.line + 1, event.start_mark.column + 1
    if event.tag not in (None, "!"):
        raise _tagged(event.tag, line, column)
    return events.Event(what, line, column, anchor=event.anchor or "")


def _close(event: Any) -> events.Event:
    return events.Event(events.CLOSE, event.start_mark.line + 1, event.start_mark.column + 1)


def _scalar(event: Any) -> events.Event:
    line, column = event.start_mark.line + 1, event.start_mark.column + 1
    text, anchor = event.value, event.anchor or ""
    if event.tag not in (None, "!", _STRING_TAG):
        raise _tagged(event.tag, line, column)
    if event.tag is not None or not event.implicit[0]:
        return events.Event(events.SCALAR, line, column, text, anchor=anchor)
    value, doubt = scalars.resolve(text)
    return events.Event(events.SCALAR, line, column, value, "" if value is text and not doubt else text, doubt, anchor)


def _alias(event: Any) -> events.Event:
    return events.Event(events.ALIAS, event.start_mark.line + 1, event.start_mark.column + 1, anchor=event.anchor)


def _tagged(tag: str, line: int, column: int) -> events.Broken:
    short = tag.replace("tag:yaml.org,2002:", "!!")[:60]
    return events.Broken(f"the tag {short} is not supported: write the value plainly, a text in quotes", line, column)


_HANDLERS: dict[type, Any] = {
    yaml.StreamStartEvent: _nothing,
    yaml.StreamEndEvent: _nothing,
    yaml.DocumentStartEvent: _document,
    yaml.DocumentEndEvent: _end,
    yaml.MappingStartEvent: _map,
    yaml.MappingEndEvent: _close,
    yaml.SequenceStartEvent: _list,
    yaml.SequenceEndEvent: _close,
    yaml.ScalarEvent: _scalar,
    yaml.AliasEvent: _alias,
}
