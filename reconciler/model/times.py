"""Moments as people and the API write them: RFC 3339 in UTC."""

from __future__ import annotations

from datetime import UTC, datetime


def text(seconds: float) -> str:
    """Unix seconds in whole seconds: ``2025-01-31T23:59:59Z``."""
    return datetime.fromtimestamp(int(seconds), UTC).isoformat()[:-6] + "Z"


def known(seconds: float) -> str | None:
    """The same; None for 0, which stands for *not yet*."""
    return text(seconds) if seconds else None


def precise(seconds: float) -> str | None:
    """With microseconds; None for 0."""
    if not seconds:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")[:-6] + "Z"
