"""Runs of a container's process: the pause before the next one, and what a reboot does to their record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from reconciler.kinds.base import retry
from reconciler.kinds.container.observed import ContainerObserved
from reconciler.model.view import Entry, Moment

#: seconds after which a run counts as good and the back-off starts over
GOOD_RUN = 600.0


def backoff(failures: int) -> float:
    """Seconds between the last of ``failures`` exits in a row and the next start: 0 after the first, then 1, 2, 4 …
    300.
    """
    return 0.0 if failures <= 1 else retry.doubling(failures - 2)


def after_exit(observed: ContainerObserved, now: Moment) -> ContainerObserved:
    """``observed`` with ``failures`` and ``next_start_mono`` as they are after a run that has just ended by itself.

    A run that a reboot ended is not a failure.
    """
    if _other_boot(observed.boot_id, now):
        return this_boot(observed, now)
    lasted = now.mono - observed.started_mono
    failures = 1 if lasted >= GOOD_RUN else observed.failures + 1
    return msgspec.structs.replace(
        observed, failures=failures, next_start_mono=now.mono + backoff(failures), boot_id=now.boot_id
    )


def this_boot(observed: ContainerObserved, now: Moment) -> ContainerObserved:
    """``observed`` as it is to be read in this boot: a container that ran in another one has no process, no starts and
    no back-off; one that had ended by then stays ended.
    """
    if not _other_boot(observed.boot_id, now):
        return observed
    return msgspec.structs.replace(
        observed, process="exited" if observed.process == "exited" else "absent", pid=0, pid_start=0, supervised=True,
        started_mono=0.0, starts=0, failures=0, next_start_mono=0.0, drift=(), boot_id=now.boot_id,
        stop_mono=0.0, stop_sent=False, error="", error_count=0, error_step="", retry_mono=0.0,
    )  # fmt: skip


def facts(observed: ContainerObserved) -> dict[str, Any]:
    """What a container's steps rely on: its incarnation (empty for none) and the state of its process."""
    incarnation = observed.incarnation
    return {"incarnation": incarnation.id if incarnation is not None else "", "process": observed.process}


def observed_of(entry: Entry) -> ContainerObserved:
    return entry.observed if isinstance(entry.observed, ContainerObserved) else ContainerObserved()


def observed_all(entries: Iterable[Entry]) -> Iterator[tuple[Entry, ContainerObserved]]:
    """Containers with what was observed of them."""
    return ((entry, observed_of(entry)) for entry in entries)


def _other_boot(boot_id: str, now: Moment) -> bool:
    return bool(boot_id) and boot_id != now.boot_id
