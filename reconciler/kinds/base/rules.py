"""Rules across the fields of a spec: what neither the schema nor one value alone can say.

A rule is given what the user wrote, sane: what the schema found wrong was taken out, wrong entries of lists are None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from reconciler.model.findings import Finding
from reconciler.model.keys import Key

Written = dict[str, Any]
Rule = Callable[[Key, Written], Iterator[Finding]]


def entries(spec: Written, field: str) -> Iterator[tuple[int, Any]]:
    """The entries of a list that are whole, with their indices."""
    return ((index, entry) for index, entry in enumerate(spec.get(field, ())) if entry is not None)
