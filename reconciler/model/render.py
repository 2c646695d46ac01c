"""Objects as the API shows them: Kubernetes' envelope, what the owner wrote, and the status made of what was observed.

Times become RFC 3339 in whole seconds of UTC; what is not known (yet) is left out.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from reconciler.model import kinds
from reconciler.model.jobs import EventRecord, JobRecord
from reconciler.model.keys import Key
from reconciler.model.objects import Desired, Override
from reconciler.model.observed import Attachment, Condition, ContainerObserved, ImageObserved, NetworkObserved, Observed
from reconciler.model.view import ImageFacts

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
    """The ``status`` of an object: its kind's fields, then ``owner``, and ``override`` where there is one."""
    shown = _of_kind(desired.key.kind, observed)
    shown["owner"] = {"source": desired.owner.source, "item": desired.owner.item}
    if desired.override != _UNTOUCHED:
        shown["override"] = {"stopped": desired.override.stopped, "restart": desired.override.restart}
    return shown


def implied(key: Key, spec: dict[str, Any], observed: Observed | None) -> dict[str, Any]:
    """An object that no manifest defines but that is there, such as the default network: it has no uid, nobody owns it,
    ``status.implied`` is true, and its resourceVersion is ``0``."""
    return {
        "apiVersion": kinds.API_VERSION,
        "kind": key.kind,
        "metadata": {**_name(key), "generation": 0, "resourceVersion": "0", "labels": {}, "annotations": {}},
        "spec": dict(spec),
        "status": {**_of_kind(key.kind, observed), "implied": True},
    }


def implied_image(facts: ImageFacts) -> dict[str, Any]:
    """An image of the graph that some container needed and no manifest names; its name is its reference."""
    observed = ImageObserved(
        reference=facts.reference, digest=facts.digest, image_id=facts.image_id, size=facts.size, phase="Ready"
    )
    return implied(Key.of(kinds.IMAGE.name, facts.reference), {"reference": facts.reference}, observed)


def time(seconds: float) -> str:
    """Unix seconds as RFC 3339: ``2025-01-31T23:59:59Z``."""
    return datetime.fromtimestamp(int(seconds), UTC).isoformat()[:-6] + "Z"


def moment(seconds: float) -> str | None:
    """The same with microseconds; None for 0, which stands for *not yet*."""
    if not seconds:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")[:-6] + "Z"


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
        "firstTimestamp": time(record.first_at),
        "lastTimestamp": time(record.last_at),
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
        "startedAt": moment(record.started_at),
        "endedAt": moment(record.ended_at),
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
    shown["creationTimestamp"] = time(desired.created_at)
    if desired.deleting_at is not None:
        shown["deletionTimestamp"] = time(desired.deleting_at)
        if desired.deleting_grace is not None:
            shown["deletionGracePeriodSeconds"] = int(desired.deleting_grace)
    shown["labels"] = dict(desired.labels)
    shown["annotations"] = dict(desired.annotations)
    if desired.finalizers:
        shown["finalizers"] = list(desired.finalizers)
    return shown


def _of_kind(kind: str, observed: Observed | None) -> dict[str, Any]:
    if observed is None:
        observed = _UNSEEN[kind]
    if isinstance(observed, ContainerObserved):
        return _container(observed)
    if isinstance(observed, ImageObserved):
        return _image(observed)
    return _network(observed)


def _container(observed: ContainerObserved) -> dict[str, Any]:
    incarnation = observed.incarnation
    shown = {
        "phase": observed.phase,
        "pid": observed.pid or None,
        "startedAt": _time_or_none(observed.started_at),
        "finishedAt": _time_or_none(observed.finished_at),
        "restartCount": observed.restart_count,
        "exitCode": observed.exit_code,
        "exitReason": observed.exit_reason or None,
        "signal": observed.exit_signal or None,
        "imageDigest": (incarnation.image_digest or None) if incarnation else None,
        "addresses": [_address(attachment) for attachment in observed.attachments] or None,
    }
    return _finish(shown, observed)


def _image(observed: ImageObserved) -> dict[str, Any]:
    shown = {
        "phase": observed.phase,
        "reference": observed.reference or None,
        "digest": observed.digest or None,
        "indexDigest": observed.index_digest or None,
        "imageID": observed.image_id or None,
        "platform": observed.platform or None,
        "latestTag": observed.latest_tag or None,
        "size": observed.size or None,
        "resolvedAt": _time_or_none(observed.asked_at),
    }
    return _finish(shown, observed)


def _network(observed: NetworkObserved) -> dict[str, Any]:
    shown = {
        "phase": observed.phase,
        "bridge": observed.bridge or None,
        "subnet": observed.subnet or None,
        "gateway": observed.gateway or None,
    }
    return _finish(shown, observed)


def _finish(shown: dict[str, Any], observed: Observed) -> dict[str, Any]:
    """``shown`` without what is unknown, and with what every kind has."""
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
        shown["lastTransitionTime"] = time(condition.last_transition_time)
    return shown


def _address(attachment: Attachment) -> dict[str, str]:
    return {"network": attachment.network, "address": attachment.address}


def _time_or_none(seconds: float) -> str | None:
    return time(seconds) if seconds else None


_UNSEEN: dict[str, Observed] = {
    kinds.CONTAINER.name: ContainerObserved(),
    kinds.IMAGE.name: ImageObserved(),
    kinds.NETWORK.name: NetworkObserved(),
}
