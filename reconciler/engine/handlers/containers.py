"""Steps of containers: create, start, stop, remove, update, repair.

Each may be killed at any instruction and asked for again: names are in the store before anything is made, and every
driver call completes what a former one began.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import secrets
import select
import shutil
import signal
import time
from typing import Any, Literal

import msgspec

from reconciler import errors, failpoints, manifest, planner
from reconciler.drivers.exec.base import ProcessFacts
from reconciler.drivers.network.base import EndpointConfig
from reconciler.engine.handlers import container_config, network_config
from reconciler.engine.job import Job
from reconciler.engine.parts import Parts
from reconciler.model import names
from reconciler.model.keys import Key
from reconciler.model.objects import Desired
from reconciler.model.observed import Attachment, ContainerObserved, Facet, Incarnation, NetworkObserved
from reconciler.model.spec import ContainerSpec
from reconciler.model.view import ImageFacts
from reconciler.planner import restarts
from reconciler.store.base import Session

#: how long after a process has gone its exit may take to be recorded (measured: 0.7 to 15 ms)
EXIT_PATIENCE = 2.0
_UID = re.compile(r"container [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def create(parts: Parts, job: Job) -> None:
    """A new incarnation: names and addresses leased in the store, then snapshot and endpoint. No process yet."""
    with parts.store.transaction(durable=False) as session:
        desired, observed = _load(session, job.uid)
        if observed.incarnation is not None:
            raise errors.Conflict(f"{desired.key} has an incarnation already")
        image = _image(session, job.args["image"])
        chain = session.images.chain(image.image_id)
        observed = _incarnate(parts, session, desired, observed, image)
        session.observed.put(job.uid, observed)
        session.relations.note_use([image.digest], parts.clock.now().wall)
        endpoint = network_config.endpoint(session, job.uid, observed)
    assert observed.incarnation is not None
    failpoints.hit("create.snapshot.before")
    parts.graph_driver.prepare(observed.incarnation.id, chain)
    failpoints.hit("create.endpoint.before")
    _wire(parts, endpoint)
    failpoints.hit("create.endpoint.after")
    parts.fresh.add(observed.incarnation.id)


def start(parts: Parts, job: Job) -> None:
    """One run of the incarnation's process, from a sure snapshot and endpoint."""
    with parts.store.snapshot() as session:
        desired, observed = _load(session, job.uid)
        incarnation = _incarnation(desired.key, observed)
        image = _image(session, incarnation.image_id)
        chain = session.images.chain(image.image_id)
        endpoint = network_config.endpoint(session, job.uid, observed)
    if incarnation.id in parts.fresh:
        parts.fresh.discard(incarnation.id)
        rootfs = parts.graph_driver.rootfs(incarnation.id)
    else:
        rootfs = parts.graph_driver.prepare(incarnation.id, chain)
        failpoints.hit("start.snapshot.after")
        _wire(parts, endpoint)
        failpoints.hit("start.endpoint.after")
    config = container_config.build(parts, desired, observed, image, rootfs)
    failpoints.hit("start.create.before")
    parts.exec.create(config)
    failpoints.hit("start.create.after")
    facts = parts.exec.start(incarnation.id)
    failpoints.hit("start.start.after")
    _record_start(parts, job, desired, facts)
    _warn_of_names(parts, desired)
    failpoints.hit("start.record.after")


def stop(parts: Parts, job: Job) -> None:
    """Sends the stop signal, waits for the grace period, then kills."""
    with parts.store.snapshot() as session:
        desired, observed = _load(session, job.uid)
    incarnation = _incarnation(desired.key, observed)
    failpoints.hit("stop.signal.before")
    # what was created and never started has nothing to end in good order
    gentle = parts.exec.inspect(incarnation.id).status != "created"
    parts.exec.signal(incarnation.id, int(job.args["signal"]) if gentle else signal.SIGKILL)
    failpoints.hit("stop.signal.after")
    if not _await_exit(parts, job, incarnation.id, float(job.args["grace"])):
        parts.exec.signal(incarnation.id, signal.SIGKILL)
        failpoints.hit("stop.kill.after")
        if not _await_exit(parts, job, incarnation.id, 10.0):
            raise errors.Temporary(f"{desired.key}: the process does not end after SIGKILL", delay=5.0)
    facts = settled(parts, incarnation.id)
    _change(parts, job.uid, **exit_fields(facts), failures=0, next_start_mono=0.0)
    failpoints.hit("stop.record.after")


def remove(parts: Parts, job: Job) -> None:
    """Removes the incarnation; with ``final`` also endpoint, leases, logs and the object itself."""
    with parts.store.snapshot() as session:
        _, observed = _load(session, job.uid)
        endpoint = network_config.endpoint(session, job.uid, observed)
    incarnation = str(job.args.get("incarnation") or "")
    if incarnation:
        parts.fresh.discard(incarnation)
        failpoints.hit("remove.process.before")
        parts.exec.delete(incarnation)
        failpoints.hit("remove.process.after")
        parts.graph_driver.remove(incarnation)
        failpoints.hit("remove.snapshot.after")
    if not job.args.get("final"):
        _forget_incarnation(parts, job.uid)
        return
    parts.network.remove_endpoint(endpoint)
    failpoints.hit("remove.endpoint.after")
    shutil.rmtree(log_dir(parts, job.uid), ignore_errors=True)
    failpoints.hit("remove.logs.after")
    with parts.store.transaction() as session:
        session.leases.release(job.uid)
        session.objects.purge(job.uid)
    failpoints.hit("remove.purge.after")


def update(parts: Parts, job: Job) -> None:
    """What changes in place: limits and published ports in the kernel; labels and policies in the record alone."""
    with parts.store.snapshot() as session:
        desired, observed = _load(session, job.uid)
    before = _incarnation(desired.key, observed)
    effective = _effective(desired)
    after = msgspec.structs.replace(
        before, written=desired.spec, effective=effective, labels=desired.labels, generation=desired.generation
    )
    changed = msgspec.structs.replace(observed, incarnation=after)
    if effective.ports != before.effective.ports:
        with parts.store.snapshot() as session:
            endpoint = network_config.endpoint(session, job.uid, changed)
        failpoints.hit("update.ports.before")
        _wire(parts, endpoint)
        failpoints.hit("update.ports.after")
    if effective.resources != before.effective.resources and observed.process in ("created", "running"):
        parts.exec.set_limits(before.id, container_config.limits(effective))
        failpoints.hit("update.limits.after")
    _change(parts, job.uid, incarnation=after)
    failpoints.hit("update.record.after")


def repair(parts: Parts, job: Job) -> None:
    """Brings back what somebody took from a running container, without touching its process."""
    facets = set(job.args["facets"])
    with parts.store.snapshot() as session:
        desired, observed = _load(session, job.uid)
        incarnation = _incarnation(desired.key, observed)
        endpoint = network_config.endpoint(session, job.uid, observed)
    if facets & {"veth", "address", "route", "ports"}:
        failpoints.hit("repair.endpoint.before")
        _wire(parts, endpoint)
        failpoints.hit("repair.endpoint.after")
    if "rootfs" in facets:
        parts.graph_driver.restore_mount(incarnation.id, observed.pid)
        failpoints.hit("repair.rootfs.after")
    if "limits" in facets:
        parts.exec.set_limits(incarnation.id, container_config.limits(incarnation.effective))
        failpoints.hit("repair.limits.after")
    left = facets & set(drift_of(parts, job.uid, observed))
    if left:
        raise errors.Temporary(f"{', '.join(sorted(left))}: repaired, but missing or altered again at once")
    _change(parts, job.uid, drift=())


def drift_of(parts: Parts, uid: str, observed: ContainerObserved) -> tuple[Facet, ...]:
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
    if limits is not None and not parts.exec.limits_match(container_config.limits(incarnation.effective), limits):
        missing.append("limits")
    return tuple(missing)


def log_dir(parts: Parts, uid: str) -> str:
    """The directory of an object's logs: they live as long as the object."""
    return os.path.join(parts.log_dir, uid)


def settled(parts: Parts, id: str, patience: float = EXIT_PATIENCE) -> ProcessFacts:
    """The facts once the exit of a process that has gone is recorded too: the exit file comes some milliseconds after
    the exit."""
    deadline = time.monotonic() + patience
    facts = parts.exec.inspect(id)
    while facts.status == "running" and time.monotonic() < deadline and not _alive(facts):
        time.sleep(0.001)
        facts = parts.exec.inspect(id)
    return facts


def exit_fields(facts: ProcessFacts) -> dict[str, Any]:
    """What an ended run leaves in the observed state."""
    return {
        "process": "exited" if facts.status in ("exited", "absent") else facts.status,
        "pid": 0,
        "pid_start": 0,
        "finished_at": facts.finished_at or time.time(),
        "exit_code": facts.exit_code,
        "exit_reason": facts.exit_reason or "unknown",
        "exit_signal": facts.signal,
        "drift": (),
    }


def _alive(facts: ProcessFacts) -> bool:
    try:
        with open(f"/proc/{facts.pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return False
    return fields[0] not in (b"Z", b"X") and int(fields[19]) == facts.pid_start


def _wire(parts: Parts, endpoint: EndpointConfig) -> None:
    """Makes sure of namespace, interfaces and ports. The driver knows containers by uid only: people by name."""
    try:
        parts.network.ensure_endpoint(endpoint)
    except errors.Conflict as error:
        with parts.store.snapshot() as session:
            raise errors.Conflict(_UID.sub(lambda found: _name_of(session, found[0]), error.message)) from None


def _name_of(session: Session, uid: str) -> str:
    """``container/default/web`` for its uid; what is nobody's stays as it is."""
    desired = session.objects.get(uid.removeprefix("container "))
    return str(desired.key) if desired is not None else uid


def _load(session: Session, uid: str) -> tuple[Desired, ContainerObserved]:
    desired = session.objects.get(uid)
    if desired is None:
        raise errors.Conflict("the container is gone")
    observed = session.observed.get(uid)
    return desired, observed if isinstance(observed, ContainerObserved) else ContainerObserved()


def _incarnation(key: Key, observed: ContainerObserved) -> Incarnation:
    if observed.incarnation is None:
        raise errors.Conflict(f"{key} has not been created")
    return observed.incarnation


def _image(session: Session, image_id: str) -> ImageFacts:
    facts = session.images.by_id(image_id)
    if facts is None:
        raise errors.Conflict(f"image {image_id} is no longer here")
    return facts


def _effective(desired: Desired) -> ContainerSpec:
    effective = manifest.effective("Container", desired.spec)
    assert isinstance(effective, ContainerSpec)
    return effective


def _incarnate(
    parts: Parts, session: Session, desired: Desired, observed: ContainerObserved, image: ImageFacts
) -> ContainerObserved:
    effective = _effective(desired)
    incarnation = Incarnation(
        id=secrets.token_hex(8),
        generation=desired.generation,
        written=desired.spec,
        effective=effective,
        labels=desired.labels,
        image_digest=image.digest,
        image_id=image.image_id,
    )
    return msgspec.structs.replace(
        observed,
        incarnation=incarnation,
        attachments=_attach(parts, session, desired, effective),
        process="absent",
        starts=0,
        failures=0,
        next_start_mono=0.0,
        restart=desired.override.restart,
        asked=0,
        latest="",
        exit_code=None,
        exit_reason="",
        exit_signal=0,
        drift=(),
        boot_id=parts.clock.boot,
    )


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


def _record_start(parts: Parts, job: Job, desired: Desired, facts: ProcessFacts) -> None:
    now = parts.clock.now()
    counts = bool(job.args.get("counts"))
    with parts.store.transaction(durable=False) as session:
        _, observed = _load(session, job.uid)
        started = msgspec.structs.replace(
            observed,
            process="running",
            pid=facts.pid,
            pid_start=facts.pid_start,
            supervised=facts.supervised,
            started_at=facts.started_at or now.wall,
            started_mono=now.mono,
            finished_at=0.0,
            exit_code=None,
            exit_reason="",
            exit_signal=0,
            starts=observed.starts + 1,
            restart_count=observed.restart_count + (1 if counts else 0),
            boot_id=now.boot_id,
            restart=desired.override.restart,
            drift=(),
            error="",
            error_count=0,
            retry_mono=0.0,
        )
        if facts.status == "running":
            session.observed.put(job.uid, started)
            return
        # it was quicker than we: its end counts as any other
        ended = planner.after_exit(msgspec.structs.replace(started, **exit_fields(facts)), now)
        session.observed.put(job.uid, ended)
        tell_exit(session, desired, ended, now.wall)


def _warn_of_names(parts: Parts, desired: Desired) -> None:
    """An event where a container cannot look up names."""
    if warning := parts.network.resolv_conf().warning:
        with parts.store.transaction(durable=False) as session:
            record, now = session.events.record, parts.clock.now().wall
            record(str(desired.key), desired.uid, "Warning", "NoNameServer", warning, now)


def tell_exit(session: Session, desired: Desired, ended: ContainerObserved, now: float) -> None:
    """The event of a run that has ended by itself."""
    type: Literal["Normal", "Warning"] = "Normal" if restarts.succeeded(ended) else "Warning"
    session.events.record(str(desired.key), desired.uid, type, "Exited", restarts.exit_text(ended), now)


def _change(parts: Parts, uid: str, **changes: Any) -> None:
    with parts.store.transaction(durable=False) as session:
        observed = session.observed.get(uid)
        if isinstance(observed, ContainerObserved):
            session.observed.put(uid, msgspec.structs.replace(observed, **changes))


def _forget_incarnation(parts: Parts, uid: str) -> None:
    _change(
        parts, uid, incarnation=None, process="absent", pid=0, pid_start=0, supervised=True, drift=(), started_at=0.0
    )
    failpoints.hit("remove.record.after")


def _await_exit(parts: Parts, job: Job, id: str, seconds: float) -> bool:
    """Whether the process ended within ``seconds``; gives up early, raising ``Temporary``, when the daemon is
    stopping."""
    facts = parts.exec.inspect(id)
    if facts.status not in ("running", "created"):
        return True
    try:
        fd = os.pidfd_open(facts.pid)
    except OSError:
        return True
    with contextlib.closing(os.fdopen(fd, "rb", closefd=True)):
        if not _alive(facts):
            return True
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if select.select([fd], [], [], min(left, 0.25))[0]:
                return True
            if job.stopping.is_set():
                raise errors.Temporary("pydockd is shutting down: the stop goes on after its restart", delay=1.0)
    return False
