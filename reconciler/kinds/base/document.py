"""What a kind's ``spec`` module says of its manifests, beside the type of the spec."""

from __future__ import annotations

from typing import NamedTuple

from reconciler.model.fields import Field


class Document(NamedTuple):
    """``doc`` describes the kind, ``spec`` the whole of its spec."""

    doc: str
    spec: Field
