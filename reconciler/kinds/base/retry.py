"""When a step that failed is tried again. Deadlines are CLOCK_BOOTTIME seconds and mean nothing in another boot."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from reconciler.model.objects import Desired
from reconciler.model.observed import Observed
from reconciler.model.view import Entry, Moment

#: the longest pause, in seconds
LONGEST = 300.0

O = TypeVar("O", bound=Observed)  # noqa: E741 - the observed type that goes in comes out


def doubling(step: int) -> float:
    """1, 2, 4 … 300 seconds for steps 0, 1, 2 …"""
    return min(LONGEST, float(2 ** min(step, 16)))


def noted(
    observed: O, desired: Desired, message: str, now: Moment, action: str = "", delay: float = 0.0, final: bool = False
) -> O:
    """``observed`` with a failed step noted: it is not tried again for 1 s, doubling to 300 s, at least ``delay``.
    ``final``: another try would fail in the same way, so the first pause is the longest one.

    ``action`` is the failed step's; only that step waits, and with no action every step does. Neither delays what a
    later edit, stop, restart or deletion asks for.
    """
    tried = f"{_intent(desired)}/{action}"
    fresh = not observed.error or observed.error_step != tried or observed.boot_id != now.boot_id
    count = 1 if fresh else observed.error_count + 1
    pause = LONGEST if final else max(delay, doubling(count - 1))
    return msgspec.structs.replace(
        observed, error=message, error_count=count, error_step=tried, boot_id=now.boot_id, retry_mono=now.mono + pause
    )


def attempt(entry: Entry, action: str) -> int:
    """Attempt number of this step, from 1; starts over when the desired state changes."""
    observed = entry.observed
    if observed is None or not observed.error or observed.error_step != f"{_intent(entry.desired)}/{action}":
        return 1
    return observed.error_count + 1


def same_wish(one: Desired, other: Desired) -> bool:
    """Whether both versions of an object want the same. A failure counts only against the version that it happened
    to."""
    return _intent(one) == _intent(other)


def after_success(observed: O) -> O:
    """``observed`` without the note of a failed step."""
    if not observed.error and not observed.error_count:
        return observed
    return msgspec.structs.replace(observed, error="", error_count=0, error_step="", retry_mono=0.0)


def held_back(entry: Entry, action: str, now: Moment) -> bool:
    """Whether this failed a moment ago and is to be tried again only at ``retry_mono``."""
    observed = entry.observed
    if observed is None or not observed.error or observed.boot_id != now.boot_id or observed.retry_mono <= now.mono:
        return False
    return f"{_intent(entry.desired)}/{action}".startswith(observed.error_step)


def _intent(desired: Desired) -> str:
    """Names what is wanted of the object."""
    words = [str(desired.generation)]
    if desired.override.stopped:
        words.append("stopped")
    if desired.override.restart:
        words.append(f"restart {desired.override.restart}")
    if desired.deleting_at is not None:
        words.append("deleting")
    return " ".join(words)
