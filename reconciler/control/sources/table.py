"""The kinds of sources: one row each."""

from __future__ import annotations

from reconciler import errors
from reconciler.control.sources.base import Scheme, Source
from reconciler.control.sources.directory.source import DirectorySource

SCHEMES = (Scheme("dir", DirectorySource),)


def make(name: str) -> Source:
    """The source of a name such as ``dir:/etc/pydock.d``. Raises ``errors.Invalid``."""
    scheme, colon, place = name.partition(":")
    for row in SCHEMES:
        if row.name == scheme and colon and place:
            return row.open(place)
    known = ", ".join(f"{row.name}:PLACE" for row in SCHEMES)
    raise errors.Invalid(f"source {name!r}: found no source of this kind; a source is one of {known}")
