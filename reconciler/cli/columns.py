"""What ``pydock get`` shows of each kind."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from typing import Any

from reconciler.cli import times
from reconciler.kinds.base.columns import NONE, Column, size
from reconciler.model import kinds

__all__ = ["NONE", "Column", "condition", "of", "ready", "size", "status"]


def condition(obj: dict[str, Any], name: str) -> dict[str, Any]:
    """The condition ``name``, in any case, of an object; empty when it has none."""
    found: list[dict[str, Any]] = (obj.get("status") or {}).get("conditions") or []
    return next((entry for entry in found if str(entry.get("type")).lower() == name.lower()), {})


def ready(obj: dict[str, Any]) -> str:
    """``True``, ``False`` or ``Unknown``."""
    return str(condition(obj, "Ready").get("status") or "Unknown")


def status(obj: dict[str, Any]) -> str:
    """One word for the state: the phase, or why the object is not ready; with how far its image has come."""
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    shown = obj.get("status") or {}
    phase = str(shown.get("phase") or "Pending")
    word = phase if ready(obj) == "True" else str(condition(obj, "Ready").get("reason") or phase)
    return f"{word} {shown['progress'].get('percent', 0)}%" if shown.get("progress") and word == "Pulling" else word


def _age(obj: dict[str, Any]) -> str:
    """Since the container was made, which a changed spec does anew; of other kinds, since the object was."""
    made = (obj.get("status") or {}).get("createdAt")
    return times.since(made or obj["metadata"].get("creationTimestamp"))


_READY = Column("READY", ready)
_STATUS = Column("STATUS", status)
_AGE = Column("AGE", _age)


def of(kind: kinds.Kind, *, wide: bool = False, namespace: bool = False, prefix: bool = False) -> Sequence[Column]:
    """The columns of ``kind``. ``namespace`` adds that in front; ``prefix`` writes names as ``container/web``."""
    before = f"{kind.singular}/" if prefix else ""
    spaced = namespace and kind.namespaced
    first = [Column("NAMESPACE", lambda obj: str(obj["metadata"]["namespace"]))] if spaced else []
    name = Column("NAME", lambda obj: before + str(obj["metadata"]["name"]))
    own = _own(kind)
    early, late = ([each for each in own if each.before_age is side] for side in (True, False))
    return [*first, name, *(each for each in (_READY, _STATUS, *early, _AGE, *late) if wide or not each.wide)]


def _own(kind: kinds.Kind) -> tuple[Column, ...]:
    """The columns that the kind's folder adds, if it adds some."""
    name = f"reconciler.kinds.{kind.singular}.columns"
    if importlib.util.find_spec(name) is None:
        return ()
    found: tuple[Column, ...] = importlib.import_module(name).COLUMNS
    return found
