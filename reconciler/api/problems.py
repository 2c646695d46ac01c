"""Every error becomes an answer here, and nowhere else."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Sequence
from typing import Any

import falcon

from reconciler import errors
from reconciler.api import status

_log = logging.getLogger("pydock.api")

_CODES: tuple[tuple[type[errors.PydockError], int], ...] = (
    (errors.Invalid, 422),
    (errors.NotFound, 404),
    (errors.Conflict, 409),
    (errors.Expired, 410),
    (errors.Forbidden, 403),
    (errors.Temporary, 503),
)


class Refused(Exception):
    """A request that is answered with ``code`` before any job is asked for. ``headers`` go with the answer."""

    def __init__(
        self,
        code: int,
        message: str,
        causes: Sequence[status.Cause] = (),
        headers: dict[str, str] | None = None,
        reason: str = "",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.causes = tuple(causes)
        self.headers = headers or {}
        self.reason = reason or status.reason_of(code)


def causes_of(error: errors.PydockError) -> tuple[status.Cause, ...]:
    """The causes of an ``Invalid``."""
    return tuple(
        status.Cause(problem.message, problem.field, "FieldValueInvalid") for problem in getattr(error, "problems", ())
    )


def describe(error: Exception) -> dict[str, Any]:
    """The ``Status`` of any error: for errors in the middle of a stream. An unknown one is logged."""
    refused = _refused(error)
    retry_after = int(refused.headers.get("Retry-After", "0"))
    return status.make(refused.code, refused.reason, refused.message, refused.causes, retry_after)


def install(app: Any) -> None:
    """Makes ``app`` answer every error as a ``Status``."""
    app.add_error_handler((Exception, falcon.HTTPError), _handle)


def _handle(req: falcon.Request, resp: falcon.Response, error: Exception, params: dict[str, Any]) -> None:
    refused = _refused(error)
    if refused.code == 405:
        refused.message = f"{req.method} is not allowed here"
    elif isinstance(error, falcon.HTTPRouteNotFound):
        refused.message = "no such path"
    resp.status = status.line(refused.code)
    resp.content_type = falcon.MEDIA_JSON
    retry_after = int(refused.headers.get("Retry-After", "0"))
    resp.data = status.body(refused.code, refused.reason, refused.message, refused.causes, retry_after)
    for name, value in refused.headers.items():
        resp.set_header(name, value)


def _refused(error: Exception) -> Refused:
    if isinstance(error, Refused):
        return error
    if isinstance(error, errors.PydockError):
        return _of_job(error)
    if isinstance(error, falcon.HTTPError):
        headers = error.headers if isinstance(error.headers, dict) else dict(error.headers or ())
        return Refused(error.status_code, error.title or "", headers=headers)
    mark = os.urandom(6).hex()
    _log.error("internal error %s", mark, exc_info=error)
    return Refused(500, f"internal error {mark}: the daemon's log tells more")


def _of_job(error: errors.PydockError) -> Refused:
    code = next((code for kind, code in _CODES if isinstance(error, kind)), 500)
    headers = {}
    if isinstance(error, errors.Temporary):
        headers["Retry-After"] = str(max(1, math.ceil(error.delay)))
    reason = status.LOGIN_NEEDED if isinstance(error, errors.LoginNeeded) else ""
    return Refused(code, error.message, causes_of(error), headers, reason)
