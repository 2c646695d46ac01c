"""Steps of networks: make, change, repair, remove."""

from __future__ import annotations

import ipaddress

import msgspec

from reconciler import errors, failpoints, manifest
from reconciler.engine.handlers import network_config
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.model import names
from reconciler.model.objects import Desired
from reconciler.model.observed import NetworkObserved
from reconciler.model.spec import NetworkSpec
from reconciler.model.view import DEFAULT_NETWORK
from reconciler.store.base import Session


def create(parts: Parts, job: Job) -> None:
    """Leases a subnet and fixes the bridge's name in the store, then makes the network."""
    with parts.store.transaction(durable=False) as session:
        desired, observed = _load(session, job.uid)
        effective = _effective(desired)
        if not observed.subnet:
            observed = _plan_names(parts, session, desired, effective, observed)
            session.observed.put(job.uid, observed)
    failpoints.hit("network.ensure.before")
    try:
        parts.network.ensure_network(network_config.network(job.uid, observed, effective))
    except errors.Conflict:
        # somebody was quicker to take a subnet that we chose: another is chosen next time
        if effective.subnet is None and not observed.created:
            _give_back(parts, job.uid, observed)
        raise
    failpoints.hit("network.ensure.after")
    _record(parts, job.uid, effective=effective, written=desired.spec, created=True, drift=())


def update(parts: Parts, job: Job) -> None:
    """mtu, internal and masquerade change in place; a changed subnet takes a fresh bridge address (its containers are
    made anew)."""
    with parts.store.transaction(durable=False) as session:
        desired, observed = _load(session, job.uid)
        effective = _effective(desired)
        if _subnet_changed(effective, observed):
            observed = _plan_names(
                parts, session, desired, effective, msgspec.structs.replace(observed, subnet="", gateway="")
            )
            session.observed.put(job.uid, observed)
    parts.network.ensure_network(network_config.network(job.uid, observed, effective))
    _record(parts, job.uid, effective=effective, written=desired.spec, drift=())


def repair(parts: Parts, job: Job) -> None:
    """Makes again what is missing of the network as it was last made."""
    with parts.store.snapshot() as session:
        _, observed = _load(session, job.uid)
    if observed.effective is None:
        raise errors.Conflict("the network has not been made yet")
    config = network_config.network(job.uid, observed, observed.effective)
    parts.network.ensure_network(config)
    left, _ = parts.network.drift([config], [])
    if job.uid in left:
        raise errors.Temporary(f"{', '.join(left[job.uid])}: repaired, but missing or altered again at once")
    _record(parts, job.uid, drift=())


def remove(parts: Parts, job: Job) -> None:
    with parts.store.snapshot() as session:
        observed = session.observed.get(job.uid)
    bridge = (
        observed.bridge
        if isinstance(observed, NetworkObserved) and observed.bridge
        else names.bridge(parts.instance, job.uid)
    )
    failpoints.hit("network.remove.before")
    parts.network.remove_network(job.uid, bridge)
    failpoints.hit("network.remove.after")
    with parts.store.transaction() as session:
        session.leases.release(job.uid)
        session.objects.purge(job.uid)
    failpoints.hit("network.purge.after")


def _give_back(parts: Parts, uid: str, observed: NetworkObserved) -> None:
    parts.network.remove_network(uid, observed.bridge)
    with parts.store.transaction(durable=False) as session:
        session.leases.release(uid)
        session.observed.put(uid, msgspec.structs.replace(observed, subnet="", gateway=""))


def _load(session: Session, uid: str) -> tuple[Desired, NetworkObserved]:
    desired = session.objects.get(uid)
    if desired is None:
        raise errors.Conflict("the network is gone")
    observed = session.observed.get(uid)
    return desired, observed if isinstance(observed, NetworkObserved) else NetworkObserved()


def _effective(desired: Desired) -> NetworkSpec:
    effective = manifest.effective("Network", desired.spec)
    assert isinstance(effective, NetworkSpec)
    return effective


def _subnet_changed(effective: NetworkSpec, observed: NetworkObserved) -> bool:
    subnet_moved = effective.subnet is not None and effective.subnet != observed.subnet
    gateway = effective.gateway or _first_host(effective.subnet or observed.subnet)
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
        gateway=effective.gateway or _first_host(subnet),
    )


def _first_host(subnet: str) -> str:
    return str(ipaddress.ip_network(subnet)[1])


def _record(parts: Parts, uid: str, **changes: object) -> None:
    with parts.store.transaction(durable=False) as session:
        observed = session.observed.get(uid)
        if isinstance(observed, NetworkObserved):
            session.observed.put(uid, msgspec.structs.replace(observed, **changes))
