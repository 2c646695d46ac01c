"""Objects as the API shows them: Kubernetes' envelope, what the owner wrote, and the status made of what was observed.

Times become RFC 3339 in whole seconds of UTC; what is not known (yet) is left out.
"""

from __future__ import annotations

from typing import Any

from reconciler.kinds import table
from reconciler.model import kinds, times
from reconciler.model.jobs import EventRecord, JobRecord
from reconciler.model.keys import Key
from reconciler.model.objects import OBJECT, Desired, Override, Owner
from reconciler.model.observed import Condition, Observed

_UNTOUCHED = Override()


def api_object(desired: Desired, observed: Observed | None) -> dict[str, Any]:
    """The whole object; ``desired.revision`` is its resourceVersion.

    It shares no mutable value with ``desired`` but those inside ``spec``.
    """
    return {
        "apiVersion": kinds.API_VERSION,
        "kind": desired.key.kind,
        "metadata": _metadata(desired),
        "spec": dict(desired.spec),
        "status": status(desired, observed),
    }


def status(desired: Desired, observed: Observed | None) -> dict[str, Any]:
    """The ``status`` of an object: its kind's fields, then ``owner``, and ``override`` where there is one. The
    condition ``Source`` is there while the object differs from the file that holds it."""
    kind = desired.key.kind
    seen = observed if observed is not None else table.empty(kind)
    shown = _finish(table.pure(kind).show(seen), seen)
    shown["owner"] = {"source": desired.owner.source, "item": desired.owner.name or desired.owner.item}
    if desired.note is not None:
        note = desired.note
        told = Condition(
            type="Source", status="False", reason=note.reason, message=note.message, last_transition_time=note.since
        )
        shown["conditions"] = [*(shown.get("conditions") or ()), _condition(told)]
    if desired.override != _UNTOUCHED:
        shown["override"] = {"stopped": desired.override.stopped, "restart": desired.override.restart}
    return shown


def event(record: EventRecord) -> dict[str, Any]:
    """One item of `events`; ``object`` is the text of its key."""
    return {
        "id": record.id,
        "object": record.key,
        "uid": record.uid,
        "type": record.type,
        "reason": record.reason,
        "message": record.message,
        "count": record.count,
        "firstTimestamp": times.text(record.first_at),
        "lastTimestamp": times.text(record.last_at),
    }


def job(record: JobRecord) -> dict[str, Any]:
    """One item of `jobs`; ``endedAt`` is null while it runs."""
    return {
        "id": record.id,
        "name": record.name,
        "object": record.key,
        "uid": record.uid,
        "cause": record.cause,
        "status": record.status,
        "attempt": record.attempt,
        "startedAt": times.precise(record.started_at),
        "endedAt": times.precise(record.ended_at),
        "error": record.error,
        "output": record.output,
        "caller": record.caller,
    }


def _name(key: Key) -> dict[str, Any]:
    return {"name": key.name, "namespace": key.namespace} if key.namespace else {"name": key.name}


def _metadata(desired: Desired) -> dict[str, Any]:
    shown = _name(desired.key)
    shown["uid"] = desired.uid
    shown["generation"] = desired.generation
    shown["resourceVersion"] = str(desired.revision)
    shown["creationTimestamp"] = times.text(desired.created_at)
    if desired.deleting_at is not None:
        shown["deletionTimestamp"] = times.text(desired.deleting_at)
        if desired.deleting_grace is not None:
            shown["deletionGracePeriodSeconds"] = int(desired.deleting_grace)
    shown["labels"] = dict(desired.labels)
    shown["annotations"] = dict(desired.annotations)
    if desired.owner.source == OBJECT and desired.owner.name:
        shown["ownerReferences"] = [_owner_reference(desired.owner)]
    if desired.finalizers:
        shown["finalizers"] = list(desired.finalizers)
    return shown


def _owner_reference(owner: Owner) -> dict[str, Any]:
    """The object that has made this one, as Kubernetes writes it."""
    key = Key.parse(owner.name)
    return {
        "apiVersion": kinds.API_VERSION, "kind": key.kind, "name": key.name, "uid": owner.item,
        "controller": True, "blockOwnerDeletion": True,
    }  # fmt: skip


def _finish(shown: dict[str, Any], observed: Observed) -> dict[str, Any]:
    """``shown`` without unknown values, and with the fields of every kind."""
    known = {name: value for name, value in shown.items() if value is not None}
    known["observedGeneration"] = observed.observed_generation
    known["conditions"] = [_condition(condition) for condition in observed.conditions]
    return known


def _condition(condition: Condition) -> dict[str, Any]:
    shown = {
        "type": condition.type,
        "status": condition.status,
        "reason": condition.reason,
        "message": condition.message,
    }
    if condition.last_transition_time:
        shown["lastTransitionTime"] = times.text(condition.last_transition_time)
    return shown
