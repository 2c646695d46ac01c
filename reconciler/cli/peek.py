"""A glance at a manifest's text: which objects it holds, without parsing it.

``pydock apply`` sends a document's text as it stands, and the server, which checks it anyway, parses it. The command
line need only know kind, name and namespace, for the request's path. To load yaml and the checks for that takes 50 ms,
more than all the rest of the command; this takes none. It understands manifests as people write them and gives up
(``None``) at the first sign of anything else: then the whole is parsed here. Were it ever wrong, the server would say
that the body's name is not the path's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from reconciler.model import kinds

#: larger texts have problems that the loader tells better
_MOST_BYTES = 1 << 20
_TOP = re.compile(r"([A-Za-z]+):(?:[ \t]+(.*))?\Z")
_VALUE = re.compile(r"""(?:"([^"\\]*)"|'([^']*)'|([A-Za-z0-9][A-Za-z0-9./_-]*))[ \t]*(?:[ \t]#.*)?\Z""")
_INNER = re.compile(r"( +)(name|namespace):[ \t]+(.*)\Z")
_KINDS = {kind.name: kind for kind in kinds.KINDS}


class Glimpse(NamedTuple):
    """One document. ``namespace`` is empty where none is written; ``position`` counts the text's documents from 0."""

    kind: kinds.Kind
    namespace: str
    name: str
    text: str
    position: int


class _Doubt(Exception):
    """The text is not of the plain sort."""


def glance(data: bytes) -> list[Glimpse] | None:
    """The documents of a YAML text, or None when only a parser can tell."""
    if len(data) > _MOST_BYTES:
        return None
    try:
        text = data.decode("utf-8")
        parts = list(_parts(text))
        if _empty(parts[0]):
            del parts[0]  # a mark at the beginning has no document before it
        return [_glimpse(part, position) for position, part in enumerate(parts) if not _empty(part)]
    except (UnicodeDecodeError, _Doubt):
        return None


def _parts(text: str) -> Iterator[str]:
    """The text of each document. A line that begins with ``---`` is always a document's mark, in block texts too."""
    lines: list[str] = []
    for line in text.split("\n"):
        if not line.startswith("---"):
            lines.append(line)
        elif line[3:].strip(" \r"):
            raise _Doubt
        else:
            yield "\n".join([*lines, ""])
            lines = []
    yield "\n".join(lines)


def _empty(part: str) -> bool:
    return not any(line.strip() and not line.lstrip().startswith("#") for line in part.split("\n"))


def _glimpse(text: str, position: int) -> Glimpse:
    top: dict[str, str] = {}
    inner: list[str] = []
    key = ""
    for line in text.replace("\r\n", "\n").split("\n"):
        if not line.strip(" ") or line.startswith("#"):
            continue
        if line.startswith(" "):
            if key == "metadata":
                inner.append(line)
            continue
        found = _TOP.match(line)
        if not found or found[1] in top:
            raise _Doubt
        key = found[1]
        top[key] = found[2] or ""
    kind = _KINDS.get(_value(top.get("kind", "")))
    if kind is None or _value(top.get("apiVersion", "")) != kinds.API_VERSION or _rest(top.get("metadata", "")):
        raise _Doubt
    names = _names(inner)
    return Glimpse(kind, names.get("namespace", ""), names["name"], text, position)


def _names(inner: list[str]) -> dict[str, str]:
    """``name`` and ``namespace`` among the lines below ``metadata``: those as little indented as the first."""
    names: dict[str, str] = {}
    indent = ""
    for line in inner:
        own = line[: len(line) - len(line.lstrip(" "))]
        if line[len(own)] == "#":
            continue
        indent = indent or own
        if len(own) < len(indent):
            raise _Doubt
        found = _INNER.match(line) if own == indent else None
        if found:
            if found[2] in names:
                raise _Doubt
            names[found[2]] = _value(found[3])
    if "name" not in names:
        raise _Doubt
    return names


def _value(text: str) -> str:
    found = _VALUE.match(text)
    if not found:
        raise _Doubt
    return found[1] or found[2] or found[3] or ""


def _rest(text: str) -> str:
    return "" if text.startswith("#") else text.strip(" ")
