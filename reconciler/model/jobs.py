"""The record of a job: what the journal keeps and the API shows."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

JobStatus = Literal["running", "done", "failed", "interrupted"]


class JobRecord(msgspec.Struct, frozen=True):
    """``key`` is the object's text (empty for jobs about none); times are Unix seconds, 0.0 while not ended; ``caller``
    says who asked (empty: pydockd itself)."""

    id: int
    name: str
    key: str
    uid: str
    cause: str
    status: JobStatus
    attempt: int
    started_at: float
    ended_at: float = 0.0
    error: str = ""
    output: str = ""
    caller: str = ""


class EventRecord(msgspec.Struct, frozen=True):
    """Something worth telling about an object; repeats are counted, not stored again."""

    id: int
    key: str
    uid: str
    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    count: int
    first_at: float
    last_at: float


class Change(msgspec.Struct, frozen=True):
    """One row of the changes table: what a watch sends. ``object`` is the whole object as the API shows it."""

    revision: int
    type: Literal["ADDED", "MODIFIED", "DELETED"]
    key: str
    uid: str
    object: dict[str, Any]
