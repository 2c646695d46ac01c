"""Steps that change or mend a running container without touching its process."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from reconciler import errors, failpoints
from reconciler.drivers.network.base import EndpointConfig
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.kinds.container import tasks
from reconciler.kinds.container.effects import common, config
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
    """What changes in place: limits and published ports in the kernel; labels and policies in the record alone."""
    before, wanted = claim.common.incarnation, claim.after.effective
    if wanted.ports != before.effective.ports:
        failpoints.hit("update.ports.before")
        common.wire(parts, claim.endpoint)
        failpoints.hit("update.ports.after")
    if wanted.resources != before.effective.resources and claim.common.observed.process in ("created", "running"):
        parts.exec.set_limits(before.id, config.limits(wanted))
        failpoints.hit("update.limits.after")
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
    if "limits" in facets:
        parts.exec.set_limits(incarnation.id, config.limits(incarnation.effective))
        failpoints.hit("repair.limits.after")
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
    missing = list(found.get(uid, ()))
    if not parts.graph_driver.mounted(incarnation.id):
        missing.append("rootfs")
    limits = parts.exec.limits(incarnation.id)
    if limits is not None and not parts.exec.limits_match(config.limits(incarnation.effective), limits):
        missing.append("limits")
    return tuple(missing)
