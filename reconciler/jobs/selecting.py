"""Which objects a list or a watch is about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reconciler.model import kinds, selectors

#: whether an object, as the API shows it, is one of them
Matches = Callable[[dict[str, Any]], bool]


def matcher(kind: str, namespace: str, label_selector: str, field_selector: str) -> Matches:
    """Raises ``Invalid`` for a selector that cannot be read."""
    labels = selectors.parse(label_selector)
    fields = selectors.parse_fields(field_selector)
    wanted = namespace if kinds.find(kind).namespaced else ""

    def matches(item: dict[str, Any]) -> bool:
        metadata = item["metadata"]
        if wanted and metadata.get("namespace") != wanted:
            return False
        return labels.matches(metadata.get("labels") or {}) and fields.matches(item)

    return matches
