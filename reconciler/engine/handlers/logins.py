"""Jobs about logins: trying one at a registry, and those that the host stores for its own pulls."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import msgspec

from reconciler import errors, planner
from reconciler.drivers.registry.base import Registry
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.model import references, render, requests
from reconciler.model.credentials import Credentials
from reconciler.model.references import Reference
from reconciler.store.logins import Kept

log = logging.getLogger("pydock.logins")


def auth(parts: Parts, job: Job) -> dict[str, Any]:
    """`pydock login`: asks the registry whether it takes the login."""
    request = msgspec.convert(job.args, requests.Auth)
    registry = references.parse_registry(request.registry)
    parts.registry.acting(registry, request.credentials).login(registry)
    return {"registry": registry}


def keep(parts: Parts, job: Job) -> dict[str, Any]:
    """`pydock login --on-host`: asks the registry, keeps the login, and has failed pulls tried again."""
    request = msgspec.convert(job.args, requests.LoginKeep)
    scope = references.parse_scope(request.scope)
    registry = references.scope_registry(scope)
    parts.registry.acting(registry, request.credentials).login(registry)
    parts.logins.put(scope, request.credentials, parts.clock.now().wall)
    _retry_pulls(parts)
    return {"scope": scope}


def remove(parts: Parts, job: Job) -> dict[str, Any]:
    """`pydock logout --on-host`"""
    scope = references.parse_scope(msgspec.convert(job.args, requests.LoginRemove).scope)
    return {"scope": scope, "removed": parts.logins.remove(scope)}


def logins(parts: Parts, job: Job) -> dict[str, Any]:
    """The scopes and usernames of the stored logins, without passwords."""
    return {"items": [_shown(parts, scope, kept) for scope, kept in parts.logins.all().items()]}


def _shown(parts: Parts, scope: str, kept: Kept) -> dict[str, Any]:
    found = {"scope": scope, "since": render.time(kept.since), "username": "", "problem": ""}
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


@contextlib.contextmanager
def acting(parts: Parts, reference: Reference, given: Credentials | None, *, own: bool) -> Iterator[Registry]:
    """The registry driver with the login that came with the request, or else the one that the host keeps.

    ``own``: it is for a pull of the host itself, for which people log in on the host. A login that is kept but
    cannot be read is an error only where the registry wants one: others' images are still pulled.
    """
    kept, problem = None, ""
    if given is None:
        try:
            kept = parts.logins.find(reference)
        except errors.Permanent as error:
            problem = error.message
            log.warning("%s", problem)
    login = given or kept
    try:
        yield parts.registry if login is None else parts.registry.acting(reference.registry, login)
    except errors.LoginNeeded as error:
        # the driver's sentence may end with the command that helps a person's own pulls
        on_host = " --on-host" if own and error.message.endswith(f"pydock login {reference.registry}") else ""
        error.args = (f"{error.message}{on_host}{f' ({problem})' if problem else ''}",)
        raise
