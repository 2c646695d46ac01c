"""Steps that make and remove an incarnation."""

from __future__ import annotations

import ipaddress
import secrets
import shutil
from typing import NamedTuple

import msgspec

from reconciler import errors, failpoints
from reconciler.drivers.network.base import EndpointConfig
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.kinds.container import runs, tasks
from reconciler.kinds.container.effects import common
from reconciler.kinds.container.observed import Attachment, ContainerObserved, Incarnation
from reconciler.kinds.container.spec import ContainerSpec
from reconciler.kinds.network.effects import config as network_config
from reconciler.kinds.network.observed import NetworkObserved
from reconciler.model import names
from reconciler.model.objects import Desired
from reconciler.model.plan import Step
from reconciler.model.view import Entry, ImageFacts
from reconciler.store.base import Session


class _Made(NamedTuple):
    incarnation: str
    chain: tuple[str, ...]
    endpoint: EndpointConfig


def claim_create(parts: Parts, session: Session, step: Step, entry: Entry) -> _Made:
    """Names and addresses of the new incarnation, leased and recorded before anything is made."""
    assert isinstance(step.task, tasks.Create)
    image = common.image(session, step.key, step.task.image)
    observed = _incarnate(parts, session, step.desired, runs.observed_of(entry), image)
    assert observed.incarnation is not None
    session.observed.put(step.uid, observed)
    session.relations.note_use([image.digest], parts.clock.now().wall)
    endpoint = network_config.endpoint(session, step.uid, observed)
    return _Made(observed.incarnation.id, session.images.chain(image.image_id), endpoint)


def create(parts: Parts, job: Job, made: _Made) -> None:
    """Snapshot and endpoint of the incarnation. No process yet."""
    failpoints.hit("create.snapshot.before")
    parts.graph_driver.prepare(made.incarnation, made.chain)
    failpoints.hit("create.endpoint.before")
    common.wire(parts, made.endpoint)
    failpoints.hit("create.endpoint.after")
    parts.fresh.add(made.incarnation)


def remove(parts: Parts, job: Job, claim: common.Claim) -> None:
    """Removes the incarnation, and at the object's end also endpoint, leases, logs and the object itself."""
    assert isinstance(claim.task, tasks.Remove)
    incarnation = claim.task.incarnation
    if incarnation:
        parts.fresh.discard(incarnation)
        failpoints.hit("remove.process.before")
        parts.exec.delete(incarnation)
        failpoints.hit("remove.process.after")
        parts.graph_driver.remove(incarnation)
        failpoints.hit("remove.snapshot.after")
    if not claim.task.final:
        _forget_incarnation(parts, claim.uid)
        return
    parts.network.remove_endpoint(claim.endpoint)
    failpoints.hit("remove.endpoint.after")
    shutil.rmtree(common.log_dir(parts, claim.uid), ignore_errors=True)
    failpoints.hit("remove.logs.after")
    with parts.store.transaction() as session:
        session.leases.release(claim.uid)
        session.objects.purge(claim.uid)
    failpoints.hit("remove.purge.after")


def _forget_incarnation(parts: Parts, uid: str) -> None:
    common.change(
        parts, uid, incarnation=None, process="absent", pid=0, pid_start=0, supervised=True, drift=(), started_at=0.0,
        stop_mono=0.0, stop_sent=False,
    )  # fmt: skip
    failpoints.hit("remove.record.after")


def _incarnate(
    parts: Parts, session: Session, desired: Desired, observed: ContainerObserved, image: ImageFacts
) -> ContainerObserved:
    effective = common.effective(desired)
    incarnation = Incarnation(
        id=secrets.token_hex(8), generation=desired.generation, written=desired.spec, effective=effective,
        labels=desired.labels, image_digest=image.digest, image_id=image.image_id,
        created_at=parts.clock.now().wall,
    )  # fmt: skip
    return msgspec.structs.replace(
        observed, incarnation=incarnation, attachments=_attach(parts, session, desired, effective), process="absent",
        starts=0, restart_count=0, failures=0, next_start_mono=0.0, restart=desired.override.restart, asked=0,
        latest="", exit_code=None, exit_reason="", exit_signal=0, drift=(), stop_mono=0.0, stop_sent=False,
        boot_id=parts.clock.boot,
    )  # fmt: skip


def _attach(parts: Parts, session: Session, desired: Desired, effective: ContainerSpec) -> tuple[Attachment, ...]:
    found = [network_config.find(session, desired.key, ref) for ref in network_config.refs(effective)]
    wanted = {network.uid for network, _ in found}
    for network_uid in session.leases.addresses(desired.uid):
        if network_uid not in wanted:
            session.leases.release(desired.uid, network_uid)
    attachments = []
    for index, (network, state) in enumerate(found):
        address = _address(session, desired.uid, network, state)
        attachments.append(
            Attachment(
                network_uid=network.uid,
                network=network.key.name,
                interface=f"eth{index}",
                host_interface=names.host_interface(parts.instance, desired.uid, index),
                address=address,
                prefix=ipaddress.ip_network(state.subnet).prefixlen,
                gateway=state.gateway,
                mac=names.mac(address),
            )
        )
    return tuple(attachments)


def _address(session: Session, uid: str, network: Desired, state: NetworkObserved) -> str:
    try:
        return session.leases.address(network.uid, uid, state.subnet, state.gateway)
    except errors.Temporary:
        count = max(0, ipaddress.ip_network(state.subnet).num_addresses - 3)
        raise errors.Temporary(
            f"network {network.key.name} is full: the {count} address{'es' if count != 1 else ''} of {state.subnet} "
            "are in use; remove containers from it, put this one into another network, or give it a larger subnet "
            "(spec.subnet of the Network; its containers are made anew)"
        ) from None


def told_create(job: Job) -> str:
    return f"the container was made, because {job.cause}"
