"""How one thing is asked over HTTP: a row of ``calls``, and the target and body made from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class Call(NamedTuple):
    """``path`` has the arguments that stand in it in braces; ``query`` and ``body`` are the others: argument → its name
    on the wire."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Mapping[str, str]

    def target(self, arguments: Mapping[str, Any]) -> str:
        """Path and query. Raises ``TypeError`` for an argument that is not there."""
        places = [part.partition("}")[0] for part in self.path.split("{")[1:]]
        if unknown := arguments.keys() - {*places, *self.query, *self.body}:
            raise TypeError(f"{self.method} {self.path} has no argument {', '.join(sorted(unknown))}")
        path = self.path
        for name in places:
            path = path.replace(f"{{{name}}}", quote(str(arguments[name])))
        return path + query({self.query[name]: _text(arguments[name]) for name in self.query if name in arguments})

    def content(self, arguments: Mapping[str, Any]) -> bytes:
        """The body; nothing for a GET."""
        if self.method == "GET":
            return b""
        return encode({self.body[name]: arguments[name] for name in self.body if name in arguments})


def _text(value: Any) -> str:
    """An argument as a query has it; an empty text, false and None are left out."""
    if value is True:
        return "true"
    if value is None or value is False:
        return ""
    if isinstance(value, dict):
        return encode(value).decode() if value else ""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def quote(text: str) -> str:
    """``text`` as one segment of a path, or one value of a query."""
    data = text.encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in data)


def query(values: Mapping[str, str]) -> str:
    """``?a=b&c=d`` of those that are not empty."""
    given = "&".join(f"{name}={quote(value)}" for name, value in values.items() if value)
    return f"?{given}" if given else ""


def encode(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
