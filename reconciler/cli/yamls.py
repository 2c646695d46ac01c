"""JSON values as YAML that every reader takes for the same values, pydock's own first.

Our own writer, because PyYAML's passes characters on that steer a terminal and that our reader refuses (U+202E and its
like), and because importing it takes 50 ms. A text stands plain only where no reader could take it for anything else;
one of several lines stands as a block; what people cannot see is escaped in double quotes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

#: words that YAML 1.1 takes for a boolean or for nothing
_WORDS = frozenset(("", "~", "null", "true", "false", "yes", "no", "on", "off", "y", "n"))
_PLAIN = re.compile(r"[^\W\d][\w ./$@+=,;()~^-]*(?::[\w./$@+=,;()~^-]+[\w ./$@+=,;()~^-]*)*|/[\w./@+=,:-]*[\w/]|/")
#: what may also start with a digit or a dash without looking like a number, a date or a list
_ADDRESS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?:/[0-9]{1,2})?")
_FLAG = re.compile(r"--?[A-Za-z][A-Za-z0-9_./-]*(?:=[A-Za-z0-9_./-]*)?")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def dump(content: Any) -> str:
    """One document; maps keep their order."""
    return "".join(f"{line}\n" for line in _lines(content))


def _lines(content: Any) -> Iterator[str]:
    if isinstance(content, dict) and content:
        for key, value in content.items():
            yield from _entry(f"{_key(str(key))}:", value, compact=True)
    elif isinstance(content, list) and content:
        for value in content:
            yield from _item(value)
    else:
        yield from _entry("", content, compact=True)


def _entry(start: str, value: Any, *, compact: bool) -> Iterator[str]:
    """``start`` and a value: behind it where it fits, below it otherwise; lists stand at their key's own column."""
    if isinstance(value, dict | list) and value:
        yield start
        indent = "" if isinstance(value, list) and compact else "  "
        yield from (indent + line if line else line for line in _lines(value))
    elif isinstance(value, str) and (block := _block(value)):
        yield f"{start} {block[0]}".lstrip(" ")
        yield from ("  " + line if line else line for line in block[1:])
    else:
        yield f"{start} {_scalar(value)}".lstrip(" ")


def _item(value: Any) -> Iterator[str]:
    """One entry of a list; what has several lines begins behind the dash."""
    if isinstance(value, dict | list) and value:
        first, *rest = _lines(value)
        yield f"- {first}"
        yield from ("  " + line if line else line for line in rest)
    else:
        yield from _entry("-", value, compact=False)


def _key(text: str) -> str:
    """A key on one line: a colon in it is left to quotes."""
    return text if ":" not in text and _plain(text) else _quoted(text)


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return value if _plain(value) else _quoted(value)
    if isinstance(value, dict | list):
        return "{}" if isinstance(value, dict) else "[]"
    return _number(value) if isinstance(value, float) else json.dumps(value)


def _number(value: float) -> str:
    """Without an exponent, about which readers differ."""
    text = repr(value)
    if "e" not in text:
        return text
    from decimal import Decimal

    plain = format(Decimal(text), "f")
    return plain if "." in plain else f"{plain}.0"


def _plain(text: str) -> bool:
    if text.lower() in _WORDS or text.endswith(" ") or not text.isprintable():
        return False
    return bool(_PLAIN.fullmatch(text) or _ADDRESS.fullmatch(text) or _FLAG.fullmatch(text))


def _quoted(text: str) -> str:
    if text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(_escaped(char) for char in text) + '"'


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    return f"\\x{code:02X}" if code < 0x100 else f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"


def _block(text: str) -> list[str]:
    """Head and lines of a block; empty where the text cannot be one: its lines must be printable and end where one sees
    them end, and the first sets the indentation."""
    if "\n" not in text or text[0] in "\n ":
        return []
    body = text.rstrip("\n")
    ends = len(text) - len(body)
    lines = body.split("\n")
    if not all(line.isprintable() and not line.endswith(" ") for line in lines):
        return []
    return ["|" if ends == 1 else "|+" if ends else "|-", *lines, *[""] * (ends - 1)]
