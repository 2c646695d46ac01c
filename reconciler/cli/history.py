"""Tables of what happened: events and jobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reconciler.cli import columns, table, times


def events(found: Sequence[dict[str, Any]], now: float | None = None, *, about: bool = True) -> str:
    """Events, oldest first; ``about`` shows which object each is about."""
    headers = ["LAST SEEN", "TYPE", "REASON", *(["OBJECT"] if about else []), "COUNT", "MESSAGE"]
    rows = [
        [
            times.since(event.get("lastTimestamp"), now),
            str(event.get("type") or ""),
            str(event.get("reason") or ""),
            *([str(event.get("object") or columns.NONE)] if about else []),
            str(event.get("count") or 1),
            str(event.get("message") or ""),
        ]
        for event in found
    ]
    return table.render(headers, rows)


def jobs(found: Sequence[dict[str, Any]], now: float | None = None) -> str:
    """The journal, newest first."""
    rows = [
        [
            str(job.get("id")),
            str(job.get("name") or ""),
            str(job.get("object") or columns.NONE),
            str(job.get("status") or ""),
            str(job.get("attempt") or 1),
            times.since(job.get("startedAt"), now),
            _took(job),
            str(job.get("error") or _progress(job) or job.get("cause") or ""),
        ]
        for job in found
    ]
    return table.render(("ID", "JOB", "OBJECT", "STATUS", "ATTEMPT", "STARTED", "TOOK", "WHY"), rows)


def _progress(job: dict[str, Any]) -> str:
    """How far a transfer has come that is under way."""
    found = job.get("progress")
    if not found:
        return ""
    return f"{found['reference']}: {found['percent']}% of {columns.size(found['total'])}"


def _took(job: dict[str, Any]) -> str:
    begun, ended = times.unix(job.get("startedAt") or ""), times.unix(job.get("endedAt") or "")
    if begun is None or ended is None:
        return columns.NONE
    took = ended - begun
    return f"{took * 1000:.0f}ms" if took < 10 else times.age(took)
