"""Documents of objects, and the path that says which object is meant."""

from __future__ import annotations

from typing import Any

from reconciler.api import status
from reconciler.api.problems import Refused
from reconciler.model import kinds


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
