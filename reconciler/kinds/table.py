"""The halves of each kind, loaded by name: the row in ``model.kinds`` names the folder, nothing here names a kind."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

from reconciler.kinds.base.document import Document
from reconciler.kinds.base.rules import Rule
from reconciler.model import fields, kinds


@cache
def spec_type(kind: str) -> Any:
    """The type of the kind's effective spec: ``SPEC`` of the folder's ``spec``."""
    return _spec(kind).SPEC


@cache
def document(kind: str) -> Document:
    """The words about the kind's manifests: ``DOCUMENT`` of the folder's ``spec``."""
    found = _spec(kind).DOCUMENT
    assert isinstance(found, Document)
    return found


@cache
def spec_fields(kind: str) -> fields.Node:
    """The description of every field of the kind's spec."""
    return fields.of(spec_type(kind))


@cache
def rules(kind: str) -> tuple[Rule, ...]:
    """The rules across fields: ``RULES`` of the folder's ``spec``."""
    found: tuple[Rule, ...] = _spec(kind).RULES
    return found


def _spec(kind: str) -> Any:
    return importlib.import_module(f"reconciler.kinds.{kinds.find(kind).singular}.spec")
