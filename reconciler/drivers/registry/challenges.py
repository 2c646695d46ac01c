"""The grammar of ``WWW-Authenticate`` (RFC 9110, sections 5.6 and 11.2 to 11.6). Pure.

::

    challenge   = auth-scheme [ 1*SP ( token68 / #auth-param ) ]
    auth-param  = token BWS "=" BWS ( token / quoted-string )

One header may have several challenges, with commas between challenges as between parameters. Accepted beyond that,
since registries send it: values without quotes that are no tokens (URLs), parameters without commas between them, a
quote that is never closed.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r'\s*=\s*(?:"((?:[^"\\]|\\.)*)(?:"|\\?$)|([^\s,"]*))', re.DOTALL)
#: what a scheme may have in place of parameters
_TOKEN68 = re.compile(r"\s+[A-Za-z0-9._~+/-]+=*(?=\s*(?:,|$))")
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)


class Challenge(NamedTuple):
    """One way to prove who asks. ``scheme`` and the names of ``parameters`` are in lower case."""

    scheme: str
    parameters: dict[str, str]


def parse(header: str) -> list[Challenge]:
    """The challenges of one header, in order. What is no part of a challenge is left out."""
    found: list[Challenge] = []
    at = 0
    while at < len(header):
        name = _NAME.match(header, at)
        if name is None:  # a comma, white space, or what does not belong here
            at += 1
            continue
        value = _VALUE.match(header, name.end())
        if value is None:
            found.append(Challenge(name[0].lower(), {}))
            token68 = _TOKEN68.match(header, name.end())
            at = token68.end() if token68 else name.end()
            continue
        if found:
            found[-1].parameters[name[0].lower()] = _text(value)
        at = value.end()
    return found


def _text(value: re.Match[str]) -> str:
    """A parameter's value without its quotes."""
    return value[2] if value[1] is None else _QUOTED_PAIR.sub(r"\1", value[1])
