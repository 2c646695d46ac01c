"""Kubernetes ``Status`` objects: how every error looks on the wire."""

from __future__ import annotations

import http
from collections.abc import Sequence
from typing import Any

import msgspec

_REASONS = {
    400: "BadRequest",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    408: "RequestTimeout",
    409: "Conflict",
    410: "Expired",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
}
#: the reason beside 403 where a registry wants a login: 401 would ask for one to this API
LOGIN_NEEDED = "LoginNeeded"


class Cause(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing wrong; ``field`` is a dotted path."""

    message: str
    field: str = ""
    reason: str = ""


def reason_of(code: int) -> str:
    """The word that programs compare."""
    return _REASONS.get(code, "Unknown")


def line(code: int) -> str:
    """``404 Not Found``"""
    return f"{code} {http.HTTPStatus(code).phrase}"


def make(code: int, reason: str, message: str, causes: Sequence[Cause] = (), retry_after: int = 0) -> dict[str, Any]:
    """``retry_after`` in seconds, 0 for none."""
    details: dict[str, Any] = {}
    if causes:
        details["causes"] = causes
    if retry_after:
        details["retryAfterSeconds"] = retry_after
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "details": details,
        "code": code,
    }


def body(code: int, reason: str, message: str, causes: Sequence[Cause] = (), retry_after: int = 0) -> bytes:
    """``make``, encoded. What is no valid text (half of a surrogate pair) is shown escaped."""
    safe = message.encode("utf-8", "backslashreplace").decode()
    return msgspec.json.encode(make(code, reason, safe, causes, retry_after))
