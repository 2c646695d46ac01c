"""Waiting until an object is as wished: by watching, never by asking again and again."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from reconciler import errors
from reconciler.cli import columns, targets, times
from reconciler.client import client as api
from reconciler.client import watching
from reconciler.model import kinds

#: seconds after the deadline for an answer that is under way
_GRACE = 3.0
#: how many times longer a container must run that has restarted before
_AFTER_RESTARTS = 5
#: seconds by which the server's times, which are whole seconds, may be off
_COARSE = 1.0
#: what no further attempt will change, in the words of kernel, OCI runtime and registry
_FOR_GOOD = re.compile(
    "no such file or directory|executable file not found|exec format error|permission denied|is a directory"
    "|it does not have it|access is denied",
    re.IGNORECASE,
)


def _hopeful(obj: dict[str, Any]) -> str:
    return ""


class Goal(NamedTuple):
    """``what`` completes "waiting for …"; ``met`` is asked of every state of the object; ``gone`` waits for its end.

    ``hopeless`` says why a state will never become what is wished, by itself; an empty text says that it may.
    ``holds``: seconds for which ``met`` must hold, for one process, before that counts.
    """

    what: str
    met: Callable[[dict[str, Any]], bool]
    gone: bool = False
    hopeless: Callable[[dict[str, Any]], str] = _hopeful
    holds: float = 0.0


class TimedOut(errors.Temporary):
    """the time is over"""


def deadline(timeout: float) -> float | None:
    """The monotonic moment ``timeout`` seconds from now; 0 is for ever."""
    return time.monotonic() + timeout if timeout else None


def condition(name: str, status: str = "True", min_ready: float = 0.0) -> Goal:
    """Wait for a condition, of the object's present generation, to have ``status``. Ready is ``ready``."""
    wanted = status.lower()
    if (name.lower(), wanted) == ("ready", "true"):
        return ready(min_ready)._replace(what=f"condition {name}")

    def met(obj: dict[str, Any]) -> bool:
        return _has(obj, name, wanted)

    return Goal(f"condition {name}" + ("" if wanted == "true" else f"={status}"), met)


def ready(min_ready: float = 0.0) -> Goal:
    """Wait until an object is ready and stays so for ``min_ready`` seconds, or has done its work and ended well.

    Fails at once where it is known that this will not happen: it ended and stays so, it crashes again and again, its
    command or its image does not exist.
    """

    def met(obj: dict[str, Any]) -> bool:
        return _has(obj, "Ready", "true") or (_current(obj) and _phase(obj) == "Succeeded")

    return Goal("it to be ready", met, hopeless=_hopeless, holds=min_ready)


def settled(min_ready: float = 0.0) -> Goal:
    """What ``apply --wait`` waits for: the same as ``ready``."""
    return ready(min_ready)


def over(obj: dict[str, Any]) -> bool:
    """Whether a container has no process and will get none by itself."""
    status = obj.get("status") or {}
    if status.get("pid"):
        return False
    ended = _current(obj) and _phase(obj) in ("Succeeded", "Failed", "Stopped")
    return ended or bool(obj["metadata"].get("deletionTimestamp"))


def _hopeless(obj: dict[str, Any]) -> str:
    """Why an object will not become ready by itself."""
    if not _current(obj):
        return ""
    if obj["kind"] == kinds.CONTAINER.name:
        if _phase(obj) == "Stopped":
            return f"it was stopped by hand: 'pydock start {obj['metadata']['name']}' starts it"
        if _phase(obj) == "Failed" or columns.condition(obj, "Ready").get("reason") == "CrashLoopBackOff":
            return obstacle(obj)
    return obstacle(obj) if _failed_for_good(columns.condition(obj, "Ready")) else ""


def _failed_for_good(ready: dict[str, Any]) -> bool:
    tried = ready.get("status") != "True" and ready.get("reason") in ("Error", "ImagePullBackOff")
    return tried and bool(_FOR_GOOD.search(str(ready.get("message") or "")))


def deleted(uid: str = "") -> Goal:
    """Wait until no object of that name is there, or none with that ``uid``."""
    return Goal("it to be gone", lambda obj: bool(uid) and obj["metadata"].get("uid") != uid, gone=True)


def stopped() -> Goal:
    """Wait until no process of the container is left."""
    return Goal("it to stop", lambda obj: not (obj.get("status") or {}).get("pid"))


def started(before: dict[str, Any], min_ready: float = 0.0) -> Goal:
    """Wait until the container is ready; that its run in ``before`` failed says nothing."""
    old = _run(before)
    return ready(min_ready)._replace(hopeless=lambda obj: _hopeless(obj) if _run(obj) != old else "")


def restarted(before: dict[str, Any], min_ready: float = 0.0) -> Goal:
    """Wait until the container is ready with another process than that in ``before``."""
    old = _process(before)
    return started(before, min_ready)._replace(
        what="it to be ready again",
        met=lambda obj: _has(obj, "Ready", "true") and (not old[0] or _process(obj) != old),
    )


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
    client.limit(None if end is None else max(end, time.monotonic()) + _GRACE)
    watch = _Watch(client, target, namespace, goal)
    while True:
        state = watch.first(end, seen)
        lasts = _lasts(state, goal) if state else 0.0
        if not lasts:
            return
        until_then = time.monotonic() + lasts
        if watch.kept(until_then if end is None else min(until_then, end)):
            if end is None or until_then <= end:
                return
            raise TimedOut(f"timed out waiting for {goal.what}: it has been so for less than {goal.holds:g}s")


class _Watch(NamedTuple):
    """One object, looked at with one goal."""

    client: api.Client
    target: targets.Target
    namespace: str
    goal: Goal

    def first(self, end: float | None, seen: Callable[[dict[str, Any]], None] | None) -> dict[str, Any]:
        """The first state in which the goal is met; empty when the object is gone and that was the goal."""
        goal, last = self.goal, dict[str, Any]()
        for event in self._follow(end, progress=seen is not None):
            if event.type == "BOOKMARK" or event.type == "DELETED":
                present = last if event.type == "BOOKMARK" else {}
                if not present and goal.gone:
                    return {}
                if not present:
                    absent = f"{self.target.kind.plural} {self.target.name!r} not found"
                    raise errors.NotFound("it was deleted" if last else absent)
            else:
                last = event.object
                if goal.met(last):
                    return last
                if hopeless := goal.hopeless(last):
                    raise errors.Permanent(hopeless)
                if seen is not None:
                    seen(last)
        raise TimedOut(f"timed out waiting for {goal.what}" + (f": {obstacle(last)}" if last else ""))

    def kept(self, end: float) -> bool:
        """Whether the goal is met until ``end`` (monotonic), by one process."""
        process: tuple[Any, Any] | None = None
        for event in self._follow(end):
            if event.type == "BOOKMARK":
                continue
            if event.type == "DELETED" or not self.goal.met(event.object):
                return False
            if process not in (None, _process(event.object)):
                return False
            process = _process(event.object)
        return True

    def _follow(self, end: float | None, *, progress: bool = False) -> Iterator[api.Event]:
        fields = f"metadata.name={self.target.name}"
        return watching.follow(
            self.client, self.target.kind, self.namespace, fields=fields, deadline=end, progress=progress
        )


def _lasts(obj: dict[str, Any], goal: Goal) -> float:
    """Seconds for which a state that meets the goal must still last."""
    status = obj.get("status") or {}
    started = times.unix(str(status.get("startedAt") or ""))
    if not goal.holds or not status.get("pid") or started is None:
        return 0.0
    wanted = goal.holds * (_AFTER_RESTARTS if status.get("restartCount") else 1)
    ran = time.time() - started
    return 0.0 if ran >= wanted + _COARSE else wanted


def obstacle(obj: dict[str, Any]) -> str:
    """Why an object is not ready, in one line."""
    ready = columns.condition(obj, "Ready")
    said = ": ".join(str(ready[part]) for part in ("reason", "message") if ready.get(part))
    return said or f"its phase is {_phase(obj) or 'unknown'}"


def _has(obj: dict[str, Any], name: str, status: str) -> bool:
    """Whether a condition of the present generation has ``status``, in lower case."""
    return _current(obj) and str(columns.condition(obj, name).get("status", "")).lower() == status


def _current(obj: dict[str, Any]) -> bool:
    """Whether the status speaks of the spec as it is now."""
    observed = (obj.get("status") or {}).get("observedGeneration")
    return observed is None or observed >= obj["metadata"].get("generation", 0)


def _phase(obj: dict[str, Any]) -> str:
    return str((obj.get("status") or {}).get("phase") or "")


def _run(obj: dict[str, Any]) -> tuple[Any, Any]:
    """Tells the container's last run from others."""
    status = obj.get("status") or {}
    return status.get("startedAt"), status.get("finishedAt")


def _process(obj: dict[str, Any]) -> tuple[Any, Any]:
    status = obj.get("status") or {}
    return status.get("pid"), status.get("startedAt")
