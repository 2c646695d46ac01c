"""The halves of each kind, loaded by name: the row in ``model.kinds`` names the folder, nothing here names a kind."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache
from typing import Any

from reconciler.kinds.base.document import Document
from reconciler.kinds.base.kind import Pure
from reconciler.kinds.base.rules import Rule
from reconciler.model import fields, kinds
from reconciler.model.observed import Observed
from reconciler.model.view import Entry


@cache
def pure(kind: str) -> Pure:
    """The pure half of the kind (``Container``): ``PURE`` of its folder's ``kind``."""
    found = _module(kind, "kind").PURE
    assert isinstance(found, Pure)
    return found


@cache
def effects(kind: str) -> Any:
    """The other half: ``EFFECTS`` of the folder's ``effects``, an ``engine.effects.Effects``."""
    return _module(kind, "effects").EFFECTS


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


def observed_types() -> Mapping[str, type[Observed]]:
    """Kind → the type of its observed state."""
    return {kind.name: pure(kind.name).observed for kind in kinds.KINDS}


@cache
def empty(kind: str) -> Observed:
    """The observed state of a kind before the first look."""
    return pure(kind).observed()


def observed_of(entry: Entry) -> Observed:
    """What was observed, or the kind's empty state before the first look."""
    return entry.observed if entry.observed is not None else empty(entry.desired.key.kind)


def _spec(kind: str) -> Any:
    return _module(kind, "spec")


def _module(kind: str, name: str) -> Any:
    return importlib.import_module(f"reconciler.kinds.{kinds.find(kind).singular}.{name}")
