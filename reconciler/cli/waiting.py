"""Waiting until an object is as wished: by watching, never by asking again and again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from reconciler import errors
from reconciler.cli import columns, targets
from reconciler.client import client as api
from reconciler.client import watching
from reconciler.model import kinds


def _hopeful(obj: dict[str, Any]) -> str:
    return ""


class Goal(NamedTuple):
    """``what`` completes "waiting for …"; ``met`` is asked of every state of the object; ``gone`` waits for its end.

    ``hopeless`` says why a state will never become what is wished, by itself; an empty text says that it may.
    """

    what: str
    met: Callable[[dict[str, Any]], bool]
    gone: bool = False
    hopeless: Callable[[dict[str, Any]], str] = _hopeful


class TimedOut(errors.Temporary):
    """the time is over"""


def deadline(timeout: float) -> float | None:
    """The monotonic moment ``timeout`` seconds from now; 0 is for ever."""
    return time.monotonic() + timeout if timeout else None


def condition(name: str, status: str = "True") -> Goal:
    """Wait for a condition, of the object's present generation, to have ``status``."""
    wanted = status.lower()

    def met(obj: dict[str, Any]) -> bool:
        found = columns.condition(obj, name)
        return _current(obj) and str(found.get("status", "")).lower() == wanted

    return Goal(f"condition {name}" + ("" if wanted == "true" else f"={status}"), met)


def settled() -> Goal:
    """Wait until an object is ready, or has done its work and ended well."""
    ready = condition("Ready")

    def met(obj: dict[str, Any]) -> bool:
        return ready.met(obj) or (_current(obj) and _phase(obj) == "Succeeded")

    return Goal("it to be ready", met, hopeless=_ended)


def _ended(obj: dict[str, Any]) -> str:
    """Why a container stays as it is: it ended and its policy leaves it so, or somebody stopped it."""
    if obj["kind"] != kinds.CONTAINER.name or not _current(obj):
        return ""
    if _phase(obj) == "Stopped":
        return f"it was stopped by hand: 'pydock start {obj['metadata']['name']}' starts it"
    return obstacle(obj) if _phase(obj) == "Failed" else ""


def deleted(uid: str = "") -> Goal:
    """Wait until no object of that name is there, or none with that ``uid``."""
    return Goal("it to be gone", lambda obj: bool(uid) and obj["metadata"].get("uid") != uid, gone=True)


def stopped() -> Goal:
    """Wait until no process of the container is left."""
    return Goal("it to stop", lambda obj: not (obj.get("status") or {}).get("pid"))


def restarted(before: dict[str, Any]) -> Goal:
    """Wait until the container is ready with another process than that in ``before``."""
    old = _process(before)
    ready = condition("Ready")
    return Goal("it to be ready again", lambda obj: ready.met(obj) and (not old[0] or _process(obj) != old))


def until(
    client: api.Client,
    target: targets.Target,
    namespace: str,
    goal: Goal,
    end: float | None,
    seen: Callable[[dict[str, Any]], None] | None = None,
) -> None:
    """Returns when ``goal`` is met; ``end`` is monotonic, None never comes. ``seen`` is told of every state before
    that, and of how far the object's image has come.

    Raises ``TimedOut`` saying what is in the way, ``errors.Permanent`` when the goal can never be met, and
    ``errors.NotFound`` for an object that is not there (unless its end is waited for).
    """
    last: dict[str, Any] = {}
    fields = f"metadata.name={target.name}"
    scope = _scope(target.kind, namespace)
    followed = watching.follow(client, target.kind, scope, fields=fields, deadline=end, progress=seen is not None)
    for event in followed:
        if event.type == "BOOKMARK" or event.type == "DELETED":
            present = last if event.type == "BOOKMARK" else {}
            if not present and goal.gone:
                return
            if not present:
                absent = f"{target.kind.plural} {target.name!r} not found"
                raise errors.NotFound("it was deleted" if last else absent)
        else:
            last = event.object
            if goal.met(last):
                return
            if hopeless := goal.hopeless(last):
                raise errors.Permanent(hopeless)
            if seen is not None:
                seen(last)
    raise TimedOut(f"timed out waiting for {goal.what}" + (f": {obstacle(last)}" if last else ""))


def obstacle(obj: dict[str, Any]) -> str:
    """Why an object is not ready, in one line."""
    ready = columns.condition(obj, "Ready")
    said = ": ".join(str(ready[part]) for part in ("reason", "message") if ready.get(part))
    return said or f"its phase is {_phase(obj) or 'unknown'}"


def _scope(kind: kinds.Kind, namespace: str) -> str:
    return namespace if kind.namespaced else ""


def _current(obj: dict[str, Any]) -> bool:
    """Whether the status speaks of the spec as it is now."""
    observed = (obj.get("status") or {}).get("observedGeneration")
    return observed is None or observed >= obj["metadata"].get("generation", 0)


def _phase(obj: dict[str, Any]) -> str:
    return str((obj.get("status") or {}).get("phase") or "")


def _process(obj: dict[str, Any]) -> tuple[Any, Any]:
    status = obj.get("status") or {}
    return status.get("pid"), status.get("startedAt")
