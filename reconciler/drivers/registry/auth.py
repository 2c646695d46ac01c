"""How a registry wants to know who asks (RFC 7235, RFC 7617; distribution spec, "Token Authentication"): the challenge
parsed, what answers it kept until it expires."""

from __future__ import annotations

import math
import re
import threading
import time
from typing import Literal, NamedTuple

import msgspec

from reconciler import errors
from reconciler.model import foreign

#: seconds; what the specification says where a token does not
_DEFAULT_LIFE = 60.0
_EARLY = 5.0
_MAX_TOKEN = 32 << 10
_PARAMETER = re.compile(r'([A-Za-z]+)\s*=\s*(?:"([^"]*)"|([^\s,"]+))')
#: where one of several challenges begins
_SCHEME = re.compile(r"(?:^|,)\s*(basic|bearer)(?:\s+|$)", re.IGNORECASE)
_PLAIN = re.compile(r"[\x21-\x7e]+")

#: the life of what does not expire by itself
FOREVER = math.inf


class Challenge(NamedTuple):
    """How to prove who asks; for ``bearer``, where to get a token, and for which service."""

    scheme: Literal["basic", "bearer"]
    realm: str = ""
    service: str = ""


class _Token(msgspec.Struct):
    token: str = ""
    access_token: str = ""
    expires_in: float = _DEFAULT_LIFE


def parse_challenge(header: str) -> Challenge:
    """Reads ``WWW-Authenticate``: a token is preferred to a password. Raises ``Permanent`` where neither is asked
    for."""
    starts = list(_SCHEME.finditer(header))
    ends = [*(start.start() for start in starts[1:]), len(header)]
    found = {start[1].lower(): header[start.end() : end] for start, end in zip(starts, ends, strict=False)}
    if "bearer" in found:
        return _bearer(found["bearer"])
    if "basic" in found:
        return Challenge("basic")
    raise errors.Permanent(f"it asks for a login in an unknown way: {header[:60]!r}, where Basic or Bearer are known")


def _bearer(text: str) -> Challenge:
    found = {match[1].lower(): match[2] or match[3] or "" for match in _PARAMETER.finditer(text)}
    if not found.get("realm"):
        raise errors.Permanent("it asks for a token, but does not say where to get one")
    return Challenge("bearer", found["realm"], found.get("service", ""))


def parse_token(raw: bytes) -> tuple[str, float]:
    """The token and its life in seconds, from a realm's answer."""
    answer = foreign.decode(raw, _Token, "its token")
    token = answer.token or answer.access_token
    if len(token) > _MAX_TOKEN or not _PLAIN.fullmatch(token):
        raise errors.Permanent("its token is malformed")
    return token, min(max(answer.expires_in, _DEFAULT_LIFE), 3600.0)


class Answers:
    """Authorization headers by scope, of one who asks: anonymous, or one request's credentials. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[str, float]] = {}

    def get(self, scope: str) -> str:
        """The header for ``scope``, or empty."""
        with self._lock:
            header, until = self._kept.get(scope, ("", 0.0))
            return header if time.monotonic() < until else ""

    def put(self, scope: str, header: str, life: float) -> None:
        """Keeps a header for ``life`` seconds."""
        now = time.monotonic()
        with self._lock:
            self._kept = {name: kept for name, kept in self._kept.items() if kept[1] > now}
            self._kept[scope] = (header, now + life - _EARLY)

    def drop(self, scope: str, header: str) -> None:
        """Forgets a header that was refused, unless another has come in its place."""
        with self._lock:
            if header and self._kept.get(scope, ("",))[0] == header:
                del self._kept[scope]

    def secrets(self) -> list[str]:
        """What of the headers no message may repeat."""
        with self._lock:
            return [header.partition(" ")[2] for header, _ in self._kept.values()]
