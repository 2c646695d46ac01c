"""The kinds of sources: one row each, the scheme of its names and its folder."""

from __future__ import annotations

import importlib

from reconciler import errors
from reconciler.control.sources.base import Scheme, Source

SCHEMES = (
    Scheme("dir", "directory"),
)  # fmt: skip


def make(name: str) -> Source:
    """The source of a name such as ``dir:/etc/pydock.d``. Raises ``errors.Invalid``."""
    scheme, colon, place = name.partition(":")
    for row in SCHEMES:
        if row.name == scheme and colon and place:
            found: Source = importlib.import_module(f"reconciler.control.sources.{row.folder}.source").SOURCE(place)
            return found
    known = ", ".join(f"{row.name}:PLACE" for row in SCHEMES)
    raise errors.Invalid(f"source {name!r}: found no source of this kind; a source is one of {known}")
