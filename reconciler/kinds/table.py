"""The halves of each kind, loaded by name: the row in ``model.kinds`` names the folder, nothing here names a kind."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache
from typing import Any

from reconciler.kinds.base.kind import Pure
from reconciler.model import kinds
from reconciler.model.observed import Observed
from reconciler.model.view import Entry


@cache
def pure(kind: str) -> Pure:
    """The pure half of the kind (``Container``): ``PURE`` of its folder's ``kind``."""
    found = importlib.import_module(f"reconciler.kinds.{kind.lower()}.kind").PURE
    assert isinstance(found, Pure)
    return found


@cache
def effects(kind: str) -> Any:
    """The other half: ``EFFECTS`` of the folder's ``effects``, an ``engine.effects.Effects``."""
    return importlib.import_module(f"reconciler.kinds.{kind.lower()}.effects").EFFECTS


@cache
def spec_type(kind: str) -> Any:
    """The type of the kind's effective spec: ``SPEC`` of the folder's ``spec``."""
    return importlib.import_module(f"reconciler.kinds.{kind.lower()}.spec").SPEC


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
