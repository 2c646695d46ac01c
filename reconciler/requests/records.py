"""Events and jobs: what is told about objects."""

from __future__ import annotations

from typing import Annotated

from reconciler.requests.declaration import BASE, Access, Ask, Request, named

#: an object as ``kind/namespace/name`` or ``kind/name``; empty means all
KeyText = Annotated[str, named("object", max_length=512)]
_MOST = 100_000


class Events(Request, frozen=True):
    """Events of ``key``, or of all objects → ``{"items": [event, …]}``: the newest ``limit``, oldest first."""

    key: KeyText = ""
    limit: Annotated[int, named("limit", ge=1, le=_MOST)] = 500


class Jobs(Request, frozen=True):
    """The journal of jobs of ``key``, or of all → ``{"items": [job, …]}``, newest first."""

    key: KeyText = ""
    limit: Annotated[int, named("limit", ge=1, le=_MOST)] = 100


ASKS = (
    Ask("events", Events, "GET", f"{BASE}/events", Access("list", "events"), "records.events"),
    Ask("jobs", Jobs, "GET", f"{BASE}/jobs", Access("list", "jobs"), "records.jobs"),
)
