"""Bodies of requests: bounded, of a known type, and parsed with the guards of manifests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import falcon

from reconciler import errors, manifest
from reconciler.api import problems, status
from reconciler.api.problems import Refused
from reconciler.model import kinds

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
    data: bytes = req.env["wsgi.input"].read(limit + 1)
    if len(data) > limit:
        raise _too_large(limit)
    if len(data) < (req.content_length or 0):
        raise Refused(400, "the body ended early")
    return data


def aim(document: dict[str, Any], kind: kinds.Kind, namespace: str, name: str = "") -> dict[str, Any]:
    """``document`` with what the path says filled in; refuses one that contradicts the path.

    ``name`` empty: the body says it.
    """
    metadata = document.get("metadata", {})
    if not isinstance(metadata, dict):
        raise _mismatch("metadata", metadata, "an object")
    wanted = {"apiVersion": kinds.API_VERSION, "kind": kind.name}
    inner = ({"namespace": namespace} if kind.namespaced else {}) | ({"name": name} if name else {})
    _compare(document, wanted, "")
    _compare(metadata, inner, "metadata.")
    return {**document, **wanted, "metadata": {**metadata, **inner}}


def check_aim(patch: dict[str, Any], kind: kinds.Kind, namespace: str, name: str) -> dict[str, Any]:
    """``patch`` as it is, if nothing in it contradicts the path."""
    aim(patch, kind, namespace, name)
    return patch


def _compare(given: dict[str, Any], wanted: dict[str, str], prefix: str) -> None:
    for field, value in wanted.items():
        if given.get(field, value) != value:
            raise _mismatch(prefix + field, given[field], repr(value))


def _mismatch(field: str, given: object, wanted: str) -> Refused:
    message = f"the body's {field} is {given!r}, the path says {wanted}"
    return Refused(400, message, [status.Cause(message, field, "FieldValueInvalid")])


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
