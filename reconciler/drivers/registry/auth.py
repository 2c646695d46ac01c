"""Anonymous bearer tokens (distribution spec, "Token Authentication"): the challenge parsed, tokens kept until they
expire."""

from __future__ import annotations

import re
import threading
import time
from typing import NamedTuple

import msgspec

from reconciler import errors

#: seconds; what the specification says where a token does not
_DEFAULT_LIFE = 60.0
_EARLY = 5.0
_MAX_TOKEN = 32 << 10
_PARAMETER = re.compile(r'([A-Za-z]+)\s*=\s*(?:"([^"]*)"|([^\s,"]+))')
_PLAIN = re.compile(r"[\x21-\x7e]+")


class Challenge(NamedTuple):
    """Where to get a token, and for which service."""

    realm: str
    service: str


class _Token(msgspec.Struct):
    token: str = ""
    access_token: str = ""
    expires_in: float = _DEFAULT_LIFE


def parse_challenge(header: str) -> Challenge:
    """Reads ``WWW-Authenticate``. Raises ``Permanent`` where a name and password are asked for."""
    scheme, _, rest = header.strip().partition(" ")
    if scheme.lower() != "bearer":
        raise errors.Permanent("it asks for a login, which is not yet supported")
    found = {match[1].lower(): match[2] or match[3] or "" for match in _PARAMETER.finditer(rest)}
    if not found.get("realm"):
        raise errors.Permanent("it asks for a token, but does not say where to get one")
    return Challenge(found["realm"], found.get("service", ""))


def parse_token(raw: bytes) -> tuple[str, float]:
    """The token and its life in seconds, from a realm's answer."""
    try:
        answer = msgspec.json.decode(raw, type=_Token)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError) as error:
        raise errors.Permanent(f"its token is malformed: {error}") from None
    token = answer.token or answer.access_token
    if len(token) > _MAX_TOKEN or not _PLAIN.fullmatch(token):
        raise errors.Permanent("its token is malformed")
    return token, min(max(answer.expires_in, _DEFAULT_LIFE), 3600.0)


class Tokens:
    """Tokens by what they are for; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[str, float]] = {}

    def get(self, key: str) -> str:
        """The token for ``key``, or empty."""
        with self._lock:
            token, until = self._kept.get(key, ("", 0.0))
            return token if time.monotonic() < until else ""

    def put(self, key: str, token: str, life: float) -> None:
        now = time.monotonic()
        with self._lock:
            self._kept = {name: kept for name, kept in self._kept.items() if kept[1] > now}
            self._kept[key] = (token, now + life - _EARLY)

    def drop(self, key: str) -> None:
        with self._lock:
            self._kept.pop(key, None)
