"""JSON that programs written in Go read loosely, and that others therefore write loosely. Pure.

Go's ``encoding/json`` matches the names of fields in any case, and takes null for a field that is absent.
"""

from __future__ import annotations

from typing import Any


def folded(document: Any) -> dict[str, Any]:
    """The fields of an object with their names in lower case, without those that are null; the last of two spellings
    counts. Raises ``TypeError`` for what is no object."""
    if not isinstance(document, dict):
        raise TypeError(f"expected an object, got {type(document).__name__}")
    return {name.casefold(): value for name, value in document.items() if value is not None}
