"""Steps of networks: make, change, repair, remove."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from reconciler import errors, failpoints, manifest
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.kinds.network import tasks
from reconciler.kinds.network.changes import first_host
from reconciler.kinds.network.effects import config
from reconciler.kinds.network.observed import NetworkObserved
from reconciler.kinds.network.spec import NetworkSpec
from reconciler.kinds.network.wiring import network_observed
from reconciler.model import names
from reconciler.model.objects import Desired
from reconciler.model.plan import Step
from reconciler.model.view import DEFAULT_NETWORK, Entry
from reconciler.store.base import Session


class Claim(NamedTuple):
    """A network as it was when its step was claimed; ``observed`` names its bridge and subnet."""

    task: Any
    desired: Desired
    observed: NetworkObserved

    @property
    def uid(self) -> str:
        return self.desired.uid


def claim(parts: Parts, session: Session, step: Step, entry: Entry) -> Claim:
    return Claim(step.task, step.desired, network_observed(entry))


def claim_make(parts: Parts, session: Session, step: Step, entry: Entry) -> Claim:
    """Leases a subnet and fixes the bridge's name in the store before anything is made. A changed subnet takes a fresh
    bridge address (its containers are made anew)."""
    observed, effective = network_observed(entry), _effective(step.desired)
    if observed.subnet and _subnet_changed(effective, observed):
        observed = msgspec.structs.replace(observed, subnet="", gateway="")
    if not observed.subnet:
        observed = _plan_names(parts, session, step.desired, effective, observed)
        session.observed.put(step.uid, observed)
    return Claim(step.task, step.desired, observed)


def create(parts: Parts, job: Job, claim: Claim) -> None:
    effective = _effective(claim.desired)
    failpoints.hit("network.ensure.before")
    try:
        parts.network.ensure_network(config.network(claim.uid, claim.observed, effective))
    except errors.Conflict:
        # somebody took the subnet that we chose: next time another is chosen
        if effective.subnet is None and not claim.observed.created:
            _give_back(parts, claim)
        raise
    failpoints.hit("network.ensure.after")
    _record(parts, claim.uid, effective=effective, written=claim.desired.spec, created=True)


def update(parts: Parts, job: Job, claim: Claim) -> None:
    """mtu, internal and masquerade change in place."""
    effective = _effective(claim.desired)
    parts.network.ensure_network(config.network(claim.uid, claim.observed, effective))
    _record(parts, claim.uid, effective=effective, written=claim.desired.spec)


def repair(parts: Parts, job: Job, claim: Claim) -> None:
    """Restores what is missing of the network, as it was last made."""
    if claim.observed.effective is None:
        raise errors.Conflict("the network has not been made yet")
    wanted = config.network(claim.uid, claim.observed, claim.observed.effective)
    parts.network.ensure_network(wanted)
    left, _ = parts.network.drift([wanted], [])
    if claim.uid in left:
        raise errors.Temporary(f"{', '.join(left[claim.uid])}: repaired, but missing or altered again at once")
    _record(parts, claim.uid)


def remove(parts: Parts, job: Job, claim: Claim) -> None:
    assert isinstance(claim.task, tasks.Remove)
    bridge = claim.task.bridge or names.bridge(parts.instance, claim.uid)
    failpoints.hit("network.remove.before")
    parts.network.remove_network(claim.uid, bridge)
    failpoints.hit("network.remove.after")
    with parts.store.transaction() as session:
        session.leases.release(claim.uid)
        session.objects.purge(claim.uid)
    failpoints.hit("network.purge.after")


def _give_back(parts: Parts, claim: Claim) -> None:
    parts.network.remove_network(claim.uid, claim.observed.bridge)
    with parts.store.transaction(durable=False) as session:
        session.leases.release(claim.uid)
        session.observed.put(claim.uid, msgspec.structs.replace(claim.observed, subnet="", gateway=""))


def _effective(desired: Desired) -> NetworkSpec:
    effective = manifest.effective("Network", desired.spec)
    assert isinstance(effective, NetworkSpec)
    return effective


def _subnet_changed(effective: NetworkSpec, observed: NetworkObserved) -> bool:
    subnet_moved = effective.subnet is not None and effective.subnet != observed.subnet
    gateway = effective.gateway or first_host(effective.subnet or observed.subnet)
    return subnet_moved or gateway != observed.gateway


def _plan_names(
    parts: Parts, session: Session, desired: Desired, effective: NetworkSpec, observed: NetworkObserved
) -> NetworkObserved:
    taken = session.leases.subnets()
    subnet = effective.subnet or taken.get(desired.uid)
    if subnet is None:
        subnet = parts.network.free_subnet(taken.values(), large=desired.key == DEFAULT_NETWORK)
    session.leases.take_subnet(desired.uid, subnet)
    return msgspec.structs.replace(
        observed,
        bridge=names.bridge(parts.instance, desired.uid),
        subnet=subnet,
        gateway=effective.gateway or first_host(subnet),
    )


def _record(parts: Parts, uid: str, **changes: object) -> None:
    """Notes that it is complete in this boot."""
    with parts.store.transaction(durable=False) as session:
        observed = session.observed.get(uid)
        if isinstance(observed, NetworkObserved):
            fresh = msgspec.structs.replace(observed, drift=(), boot_id=parts.clock.boot, **changes)
            session.observed.put(uid, fresh)
