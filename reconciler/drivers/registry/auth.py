"""What a registry's challenge asks for, the tokens that answer it, and what was accepted, kept until it expires
(distribution spec, "Token Authentication"; RFC 7617)."""

from __future__ import annotations

import math
import re
import threading
import time
from typing import Any, Literal, NamedTuple

import msgspec

from reconciler import errors
from reconciler.drivers.registry import challenges
from reconciler.model import loose

#: seconds; what the specification says where a token does not
_DEFAULT_LIFE = 60.0
_MAX_LIFE = 3600.0
_EARLY = 5.0
_MAX_TOKEN = 32 << 10
_PLAIN = re.compile(r"[\x21-\x7e]+")
#: schemes that an error names, and characters of each
_MOST_NAMES, _NAME_LENGTH = 5, 20

#: the life of what does not expire by itself
FOREVER = math.inf


class Challenge(NamedTuple):
    """How to prove who asks; for ``bearer``, where to get a token, and for which service (empty: none was named)."""

    scheme: Literal["basic", "bearer"]
    realm: str = ""
    service: str = ""


def parse_challenge(*headers: str) -> Challenge:
    """What the ``WWW-Authenticate`` headers of an answer ask for: a token is preferred to a password. Raises
    ``Permanent`` where neither is asked for."""
    found = [each for header in headers for each in challenges.parse(header)]
    bearers = [each.parameters for each in found if each.scheme == "bearer"]
    for parameters in bearers:
        if parameters.get("realm"):
            return Challenge("bearer", parameters["realm"], parameters.get("service", ""))
    if any(each.scheme == "basic" for each in found):
        return Challenge("basic")
    if bearers:
        raise errors.Permanent("it asks for a token, but does not say where to get one")
    if not found:
        raise errors.Permanent("it asks for a login, but does not say how to log in")
    names = ", ".join(dict.fromkeys(each.scheme[:_NAME_LENGTH] for each in found[:_MOST_NAMES]))
    raise errors.Permanent(f"it asks for a login by {names}: only Basic and Bearer are supported")


def parse_token(raw: bytes) -> tuple[str, float]:
    """The token and its life in seconds, from a token server's answer. Raises ``Permanent`` if there is none."""
    try:
        answer = loose.folded(msgspec.json.decode(raw))
    except (msgspec.DecodeError, UnicodeDecodeError, TypeError, RecursionError):
        raise errors.Permanent("its token is malformed: the answer is not a JSON object") from None
    token = answer.get("token") or answer.get("access_token") or ""
    if not isinstance(token, str) or len(token) > _MAX_TOKEN or not _PLAIN.fullmatch(token):
        raise errors.Permanent("its token is malformed: expected text in token or access_token")
    return token, _life(answer.get("expires_in"))


def _life(stated: Any) -> float:
    """Seconds within bounds; the usual ones if ``stated`` is no number."""
    if isinstance(stated, str) and stated.isascii() and stated.isdigit():
        stated = int(stated[:9])
    if isinstance(stated, bool) or not isinstance(stated, int | float):
        return _DEFAULT_LIFE
    return float(min(max(stated, _DEFAULT_LIFE), _MAX_LIFE))


class Answers:
    """Authorization headers that were accepted, by registry and scope, for one caller: anonymous, or with the
    credentials of one request. Safe for threads."""

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

    def secrets(self, prefix: str) -> list[str]:
        """The tokens and passwords of the scopes that begin with ``prefix``: no message may repeat them."""
        with self._lock:
            return [header.partition(" ")[2] for scope, (header, _) in self._kept.items() if scope.startswith(prefix)]
