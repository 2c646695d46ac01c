"""Bodies of requests: bounded, of a known type, and parsed with the guards of manifests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import falcon
from gunicorn.http import errors as http

from reconciler import errors, manifest
from reconciler.api import problems
from reconciler.api.problems import Refused

#: bytes of an ordinary body, and of one that carries many documents
LIMIT = 1 << 20
MANY_LIMIT = 7 << 20
#: what a body may have of bytes for each of its values: 50,000 values in an ordinary one
_BYTES_A_NODE = 20

JSON = "application/json"
#: an archive, whose bytes go on as they come
ARCHIVE = "application/x-tar"
MERGE_PATCH = "application/merge-patch+json"
APPLY_YAML = "application/apply-patch+yaml"
APPLY_JSON = "application/apply-patch+json"


def read_json(req: falcon.Request, limit: int = LIMIT) -> dict[str, Any]:
    """The JSON object that the body must be."""
    media_type(req, (JSON,))
    return _parsed(lambda data: manifest.parse_json(data, limit, limit // _BYTES_A_NODE), read(req, limit))


def read_optional_json(req: falcon.Request) -> dict[str, Any]:
    """As ``read_json``; no body is an empty object."""
    data = read(req, LIMIT)
    if data or req.content_type:
        media_type(req, (JSON,))
    return _parsed(manifest.parse_json, data) if data else {}


def read_patch(req: falcon.Request) -> tuple[str, dict[str, Any]]:
    """A patch with its media type."""
    found = media_type(req, (MERGE_PATCH, APPLY_YAML, APPLY_JSON))
    parse = manifest.parse_yaml_body if found == APPLY_YAML else manifest.parse_json
    return found, _parsed(parse, read(req, LIMIT))


def media_type(req: falcon.Request, allowed: tuple[str, ...]) -> str:
    """The body's type without parameters; refuses what is not in ``allowed``, or not UTF-8."""
    given, _, parameters = (req.content_type or "").lower().partition(";")
    found = given.strip()
    if found not in allowed:
        shown = f"a body of type {found!r}" if found else "a body without Content-Type"
        raise Refused(415, f"{shown} is not supported here: expected {' or '.join(allowed)}")
    charset = parameters.strip().removeprefix("charset=").strip('"')
    if charset not in ("", "utf-8", "utf8"):
        raise Refused(415, f"the parameter {parameters.strip()!r} of {found} is not supported: bodies are UTF-8")
    return found


def read(req: falcon.Request, limit: int) -> bytes:
    """The whole body, at most ``limit`` bytes of it."""
    if (req.content_length or 0) > limit:
        raise _too_large(limit)
    try:
        data: bytes = req.env["wsgi.input"].read(limit + 1)
    except (OSError, http.ParseException) as error:
        raise Refused(400, f"the body did not arrive: {error}") from None
    if len(data) > limit:
        raise _too_large(limit)
    if len(data) < (req.content_length or 0):
        raise Refused(400, "the body ended early")
    return data


def _parsed(parse: Callable[[bytes], Any], data: bytes) -> dict[str, Any]:
    try:
        document = parse(data)
    except errors.Invalid as error:
        raise Refused(400, error.message, problems.causes_of(error)) from None
    if not isinstance(document, dict):
        raise Refused(400, "the body must be an object")
    return document


def _too_large(limit: int) -> Refused:
    return Refused(413, f"the body is too large: allowed are {limit} bytes")
