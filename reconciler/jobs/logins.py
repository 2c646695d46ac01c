"""Jobs about logins: trying one at a registry, and those that the host stores for its own pulls."""

from __future__ import annotations

from typing import Any

import msgspec

from reconciler import errors, planner
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.model import references, times
from reconciler.requests import logins as asked
from reconciler.requests.registry import Auth
from reconciler.store.logins import Kept


def auth(parts: Parts, job: Job) -> dict[str, Any]:
    """`pydock login`: asks the registry whether it takes the login."""
    request = msgspec.convert(job.args, Auth)
    registry = references.parse_registry(request.registry)
    parts.registry.acting(registry, request.credentials).login(registry)
    return {"registry": registry}


def keep(parts: Parts, job: Job) -> dict[str, Any]:
    """`pydock login --on-host`: asks the registry, keeps the login, and has failed pulls tried again."""
    request = msgspec.convert(job.args, asked.LoginKeep)
    scope = references.parse_scope(request.scope)
    registry = references.scope_registry(scope)
    parts.registry.acting(registry, request.credentials).login(registry)
    parts.logins.put(scope, request.credentials, parts.clock.now().wall)
    _retry_pulls(parts)
    return {"scope": scope}


def remove(parts: Parts, job: Job) -> dict[str, Any]:
    """`pydock logout --on-host`"""
    scope = references.parse_scope(msgspec.convert(job.args, asked.LoginRemove).scope)
    return {"scope": scope, "removed": parts.logins.remove(scope)}


def logins(parts: Parts, job: Job) -> dict[str, Any]:
    """The scopes and usernames of the stored logins, without passwords."""
    return {"items": [_shown(parts, scope, kept) for scope, kept in parts.logins.all().items()]}


def _shown(parts: Parts, scope: str, kept: Kept) -> dict[str, Any]:
    found = {"scope": scope, "since": times.text(kept.since), "username": "", "problem": ""}
    try:
        return found | {"username": parts.logins.open(scope, kept).username}
    except errors.Permanent as error:
        return found | {"problem": error.message}


def _retry_pulls(parts: Parts) -> None:
    """Ends the back-off of objects whose pull failed: the new login may help them."""
    with parts.store.transaction() as session:
        failed = [
            entry for entry in session.entries() if entry.observed and entry.observed.error_step.endswith("/pull")
        ]
        for entry in failed:
            assert entry.observed is not None
            session.observed.put(entry.desired.uid, planner.after_success(entry.observed))
    parts.look([entry.desired.key for entry in failed])
