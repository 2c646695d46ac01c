"""When to try again: back-off after exits and after failed steps, and what a reboot does to both.

Deadlines are CLOCK_BOOTTIME seconds and mean nothing in another boot.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from reconciler.model import kinds
from reconciler.model.objects import Desired
from reconciler.model.observed import ContainerObserved, ImageObserved, NetworkObserved, Observed
from reconciler.model.view import Entry, Moment

#: seconds after which a run counts as good and the back-off starts over
GOOD_RUN = 600.0
#: the longest pause, in seconds
LONGEST = 300.0

_EMPTY: dict[str, Observed] = {
    kinds.CONTAINER.name: ContainerObserved(),
    kinds.IMAGE.name: ImageObserved(),
    kinds.NETWORK.name: NetworkObserved(),
}

O = TypeVar("O", bound=Observed)  # noqa: E741 - the observed type that goes in comes out


def backoff(failures: int) -> float:
    """Seconds between the last of ``failures`` exits in a row and the next start: 0 after the first, then 1, 2, 4 …
    300.
    """
    return 0.0 if failures <= 1 else _doubling(failures - 2)


def after_exit(observed: ContainerObserved, now: Moment) -> ContainerObserved:
    """``observed`` with ``failures`` and ``next_start_mono`` as they are after a run that has just ended by itself.

    A run that a reboot ended is held against nobody.
    """
    if _other_boot(observed.boot_id, now):
        return this_boot(observed, now)
    lasted = now.mono - observed.started_mono
    failures = 1 if lasted >= GOOD_RUN else observed.failures + 1
    return msgspec.structs.replace(
        observed, failures=failures, next_start_mono=now.mono + backoff(failures), boot_id=now.boot_id
    )


def after_error(entry: Entry, message: str, now: Moment, action: str = "", delay: float = 0.0) -> Observed:
    """The entry's observed state with a failed step noted: it is not tried again for 1 s, doubling to 300 s, at least
    ``delay``.

    ``action`` is the failed step's; what else the object needs goes on meanwhile. Without it everything waits.
    Neither holds back what a later edit, stop, restart or deletion asks for.
    """
    observed = this_boot(observed_of(entry), now)
    tried = f"{_intent(entry.desired)}/{action}"
    fresh = not observed.error or observed.error_step != tried or observed.boot_id != now.boot_id
    count = 1 if fresh else observed.error_count + 1
    return msgspec.structs.replace(
        observed, error=message, error_count=count, error_step=tried, boot_id=now.boot_id,
        retry_mono=now.mono + max(delay, _doubling(count - 1)),
    )  # fmt: skip


def attempt(entry: Entry, action: str) -> int:
    """The how manyth try of that step this is, counted from 1 for what is wanted now."""
    observed = entry.observed
    if observed is None or not observed.error or observed.error_step != f"{_intent(entry.desired)}/{action}":
        return 1
    return observed.error_count + 1


def same_wish(one: Desired, other: Desired) -> bool:
    """Whether the same is wanted of both states of an object: a failure counts only against the same wish."""
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


def this_boot(observed: O, now: Moment) -> O:
    """``observed`` as it is to be read in this boot: a container that ran in another one has no process, no starts
    and no back-off; one that had ended then is still one that has ended.
    """
    if not isinstance(observed, ContainerObserved) or not _other_boot(observed.boot_id, now):
        return observed
    return msgspec.structs.replace(
        observed, process="exited" if observed.process == "exited" else "absent", pid=0, pid_start=0, supervised=True,
        started_mono=0.0, starts=0, failures=0, next_start_mono=0.0, drift=(), boot_id=now.boot_id,
        error="", error_count=0, error_step="", retry_mono=0.0,
    )  # fmt: skip


def observed_of(entry: Entry) -> Observed:
    """What was observed, or the kind's empty state before the first look."""
    return entry.observed if entry.observed is not None else _EMPTY[entry.desired.key.kind]


def _doubling(step: int) -> float:
    return min(LONGEST, float(2 ** min(step, 16)))


def _other_boot(boot_id: str, now: Moment) -> bool:
    return bool(boot_id) and boot_id != now.boot_id


def _intent(desired: Desired) -> str:
    """Names what is wanted of the object: a failure counts only against the same wish."""
    words = [str(desired.generation)]
    if desired.override.stopped:
        words.append("stopped")
    if desired.override.restart:
        words.append(f"restart {desired.override.restart}")
    if desired.deleting_at is not None:
        words.append("deleting")
    return " ".join(words)
