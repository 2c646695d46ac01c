"""What tells of changes around a container."""

from __future__ import annotations

from functools import partial

from reconciler.engine.effects import Watched
from reconciler.engine.parts import Parts
from reconciler.kinds.container import spec
from reconciler.kinds.container.aspects import table
from reconciler.kinds.container.aspects.base import Running
from reconciler.kinds.container.observed import ContainerObserved, Incarnation
from reconciler.kinds.network.effects import config as network_config
from reconciler.model.view import Entry


def watch(parts: Parts, entry: Entry) -> Watched:
    """While it runs: its process and its conmon, its limits, its endpoint, its mount."""
    observed = entry.observed
    if not isinstance(observed, ContainerObserved) or observed.process not in ("created", "running"):
        return Watched()
    made = observed.incarnation
    if made is None:
        return Watched()
    conmon = parts.exec.conmon_process(made.id)
    with parts.store.snapshot() as session:
        endpoint = network_config.endpoint(session, entry.desired.uid, observed)
    return Watched(
        processes=((observed.pid, observed.pid_start), *([conmon] if conmon is not None else [])),
        files=parts.exec.limit_files(made.id), endpoint=endpoint, mount=made.id, altered=partial(_altered, parts, made),
    )  # fmt: skip


def _altered(parts: Parts, made: Incarnation) -> bool:
    """Whether somebody has changed what an aspect of its spec has in the kernel."""
    return bool(list(table.drifted(spec.ASPECTS, Running(made.id, made.effective, parts.exec))))
