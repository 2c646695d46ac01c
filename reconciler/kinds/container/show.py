"""The status of a container as the API shows it."""

from __future__ import annotations

from typing import Any

from reconciler.kinds.container.observed import Attachment, ContainerObserved, LastExit
from reconciler.model import times


def show(observed: ContainerObserved) -> dict[str, Any]:
    incarnation = observed.incarnation
    return {
        "phase": observed.phase,
        "pid": observed.pid or None,
        "createdAt": times.known(incarnation.created_at) if incarnation else None,
        "startedAt": times.known(observed.started_at),
        "finishedAt": times.known(observed.finished_at),
        "restartCount": observed.restart_count,
        "exitCode": observed.exit_code,
        "exitReason": observed.exit_reason or None,
        "signal": observed.exit_signal or None,
        "lastExit": _last_exit(observed.last_exit),
        "imageDigest": (incarnation.image_digest or None) if incarnation else None,
        "addresses": [_address(attachment) for attachment in observed.attachments] or None,
    }


def _address(attachment: Attachment) -> dict[str, str]:
    return {"network": attachment.network, "address": attachment.address}


def _last_exit(last: LastExit | None) -> dict[str, Any] | None:
    if last is None:
        return None
    shown = {
        "exitCode": last.code, "reason": last.reason or None, "signal": last.signal or None,
        "finishedAt": times.known(last.finished_at),
    }  # fmt: skip
    return {name: value for name, value in shown.items() if value is not None}
