"""What a kind's ``spec`` module says of its manifests, beside the type of the spec."""

from __future__ import annotations

from typing import NamedTuple

from reconciler.model.fields import Field


class Document(NamedTuple):
    """``doc`` describes the kind, ``spec`` the whole of its spec. ``anew`` says what an edit does that does not take
    effect in place."""

    doc: str
    spec: Field
    anew: str = "anew"
