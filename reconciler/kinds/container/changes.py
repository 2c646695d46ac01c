"""What of a container changes: its labels, and the fields of its spec."""

from __future__ import annotations

import msgspec

from reconciler.kinds.base import comparison
from reconciler.kinds.container.observed import Incarnation
from reconciler.kinds.container.spec import ContainerSpec
from reconciler.model.objects import Desired
from reconciler.model.plan import FieldChange


def changes(incarnation: Incarnation, desired: Desired) -> tuple[FieldChange, ...]:
    """Changed labels and fields, in the order of the spec. Another spelling of the same image is worth recording, not
    a new incarnation."""
    found = _label_changes(incarnation.labels, desired.labels)
    if incarnation.written != desired.spec:
        wanted = msgspec.convert(desired.spec, ContainerSpec)
        found += comparison.spec_changes(incarnation.written, incarnation.effective, desired.spec, wanted)
    return tuple(found)


def _label_changes(then: dict[str, str], now: dict[str, str]) -> list[FieldChange]:
    return [
        FieldChange(path=f"metadata.labels[{name}]", old=then.get(name), new=now.get(name), in_place=True)
        for name in sorted({*then, *now})
        if then.get(name) != now.get(name)
    ]
