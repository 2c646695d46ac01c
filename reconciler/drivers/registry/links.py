"""The grammar of ``Link`` headers (RFC 8288, section 3). Pure.

::

    Link       = #link-value
    link-value = "<" URI-Reference ">" *( OWS ";" OWS [ link-param ] )
    link-param = token BWS [ "=" BWS ( token / quoted-string ) ]
"""

from __future__ import annotations

import re
from typing import NamedTuple

_TARGET = re.compile(r"<([^<>]*)>")
_PARAMETER = re.compile(
    r"\s*;\s*(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*(?:=\s*(?:\"((?:[^\"\\]|\\.)*)(?:\"|\\?$)|([^\s,;\"]*)))?)?",
    re.DOTALL,
)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)


class Link(NamedTuple):
    """``relations`` are in lower case; ``anchor`` is what the link is about, if not the answer that it came with."""

    target: str
    relations: tuple[str, ...]
    anchor: str = ""


def parse(header: str) -> list[Link]:
    """The links of one header, in order. What is no part of a link is left out."""
    found: list[Link] = []
    at = 0
    while target := _TARGET.search(header, at):
        at = target.end()
        parameters: dict[str, str] = {}
        while parameter := _PARAMETER.match(header, at):
            at = parameter.end()
            # a second "rel" does not count (RFC 8288, 3.3)
            parameters.setdefault((parameter[1] or "").lower(), _text(parameter))
        relations = tuple(parameters.get("rel", "").lower().split())
        found.append(Link(target[1].strip(), relations, parameters.get("anchor", "")))
    return found


def _text(parameter: re.Match[str]) -> str:
    """A parameter's value without its quotes."""
    return (parameter[3] or "") if parameter[2] is None else _QUOTED_PAIR.sub(r"\1", parameter[2])
