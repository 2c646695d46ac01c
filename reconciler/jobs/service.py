"""The service itself: version, readiness, commands."""

from __future__ import annotations

from typing import Any

from reconciler.engine.job import Job
from reconciler.engine.parts import Parts


def version(parts: Parts, job: Job) -> dict[str, Any]:
    return dict(parts.version)


def ping(parts: Parts, job: Job) -> dict[str, Any]:
    return {"ready": parts.ready.is_set()}


def commands(parts: Parts, job: Job) -> dict[str, Any]:
    return {"commands": parts.commands()}
