"""Steps that change or mend a running container without touching its process."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import msgspec

from reconciler import errors, failpoints
from reconciler.drivers.network.base import EndpointConfig
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.kinds.container import spec, tasks
from reconciler.kinds.container.aspects import table
from reconciler.kinds.container.aspects.base import Running
from reconciler.kinds.container.effects import common
from reconciler.kinds.container.observed import ContainerObserved, Facet, Incarnation
from reconciler.kinds.network.effects import config as network_config
from reconciler.model.plan import Step
from reconciler.model.view import Entry
from reconciler.store.base import Session

_ENDPOINT: frozenset[Facet] = frozenset({"veth", "address", "route", "ports"})


class _Update(NamedTuple):
    common: common.Claim
    after: Incarnation
    endpoint: EndpointConfig


def claim_update(parts: Parts, session: Session, step: Step, entry: Entry) -> _Update:
    claim, desired = common.claim(parts, session, step, entry), step.desired
    after = msgspec.structs.replace(
        claim.incarnation, written=desired.spec, effective=common.effective(desired), labels=desired.labels,
        generation=desired.generation,
    )  # fmt: skip
    changed = msgspec.structs.replace(claim.observed, incarnation=after)
    return _Update(claim, after, network_config.endpoint(session, step.uid, changed))


def update(parts: Parts, job: Job, claim: _Update) -> None:
    """What changes in place: in the kernel where an aspect of the spec has something there (limits, published ports),
    else in the record alone."""
    before, alive = claim.common.incarnation, claim.common.observed.process in ("created", "running")
    running = Running(before.id, claim.after.effective, parts.exec, partial(common.wire, parts, claim.endpoint))
    for aspect in table.changed(spec.ASPECTS, before.effective, claim.after.effective):
        if aspect.apply is not None and (alive or not aspect.by_process):
            failpoints.hit(f"update.{aspect.name}.before")
            aspect.apply(running)
            failpoints.hit(f"update.{aspect.name}.after")
    common.change(parts, claim.common.uid, incarnation=claim.after)
    failpoints.hit("update.record.after")


def repair(parts: Parts, job: Job, claim: common.Claim) -> None:
    """Brings back what somebody took from a running container, without touching its process."""
    assert isinstance(claim.task, tasks.Repair)
    facets, incarnation = set(claim.task.facets), claim.incarnation
    if facets & _ENDPOINT:
        failpoints.hit("repair.endpoint.before")
        common.wire(parts, claim.endpoint)
        failpoints.hit("repair.endpoint.after")
    if "rootfs" in facets:
        parts.graph_driver.restore_mount(incarnation.id, claim.observed.pid)
        failpoints.hit("repair.rootfs.after")
    running = Running(incarnation.id, incarnation.effective, parts.exec, partial(common.wire, parts, claim.endpoint))
    for aspect in spec.ASPECTS:
        if aspect.name in facets and aspect.drifted is not None and aspect.apply is not None:
            aspect.apply(running)
            failpoints.hit(f"repair.{aspect.name}.after")
    left = facets & set(drift(parts, claim.uid, claim.observed))
    if left:
        raise errors.Temporary(f"{', '.join(sorted(left))}: repaired, but missing or altered again at once")
    common.change(parts, claim.uid, drift=())


def drift(parts: Parts, uid: str, observed: ContainerObserved) -> tuple[Facet, ...]:
    """What is missing or altered around a container that runs."""
    incarnation = observed.incarnation
    assert incarnation is not None
    with parts.store.snapshot() as session:
        endpoint = network_config.endpoint(session, uid, observed)
    _, found = parts.network.drift([], [endpoint])
    missing: list[Facet] = list(found.get(uid, ()))
    if not parts.graph_driver.mounted(incarnation.id):
        missing.append("rootfs")
    running = Running(incarnation.id, incarnation.effective, parts.exec)
    return (*missing, *(aspect.name for aspect in table.drifted(spec.ASPECTS, running)))
