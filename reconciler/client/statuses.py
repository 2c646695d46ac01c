"""Kubernetes ``Status`` objects, as the API answers when something is wrong, turned back into ``reconciler.errors``."""

from __future__ import annotations

import json
from typing import Any

from reconciler import errors

_CLASSES: dict[int, type[errors.PydockError]] = {
    400: errors.Invalid,
    401: errors.Forbidden,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    410: errors.Expired,
    413: errors.Invalid,
    415: errors.Invalid,
    422: errors.Invalid,
    429: errors.Temporary,
    502: errors.Temporary,
    503: errors.Temporary,
    504: errors.Temporary,
}


def error(code: int, body: bytes, retry_after: str = "") -> errors.PydockError:
    """The error that an answer with status ``code`` and ``body`` means; ``retry_after`` is that header's text."""
    try:
        status = json.loads(body)
    except ValueError:
        status = None
    if not isinstance(status, dict) or status.get("kind") != "Status":
        status = {"message": f"the server answered {code} without saying why"}
    return rebuild({"code": code, **status}, retry_after)


def rebuild(status: dict[str, Any], retry_after: str = "") -> errors.PydockError:
    """The error of one ``Status`` object; the causes of an invalid one become its problems."""
    found = _CLASSES.get(int(status.get("code") or 500), errors.Permanent)
    message = str(status.get("message") or "")
    details = status.get("details") or {}
    if found is errors.Forbidden and status.get("reason") == "LoginNeeded":
        return errors.LoginNeeded(message)
    if found is errors.Invalid:
        return errors.Invalid(message, problems(details.get("causes") or ()))
    if found is errors.Temporary:
        delay = details.get("retryAfterSeconds") or (retry_after if retry_after.isdecimal() else 1)
        return errors.Temporary(message, float(delay))
    return found(message)


def problems(causes: Any) -> tuple[errors.Problem, ...]:
    """The ``details.causes`` of a Status: where each stands and what is wrong there."""
    return tuple(errors.Problem(str(cause.get("message", "")), str(cause.get("field", ""))) for cause in causes)
