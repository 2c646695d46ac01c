"""From stored state to the network driver's plain arguments."""

from __future__ import annotations

from reconciler import errors
from reconciler.drivers.network.base import EndpointConfig, Interface, NetworkConfig, PublishedPort
from reconciler.kinds.container.aspects import ports
from reconciler.kinds.container.aspects.networks import NetworkRef
from reconciler.kinds.container.observed import Attachment, ContainerObserved
from reconciler.kinds.container.spec import ContainerSpec
from reconciler.kinds.network.observed import NetworkObserved
from reconciler.kinds.network.spec import NetworkSpec
from reconciler.model.keys import Key
from reconciler.model.objects import Desired
from reconciler.model.view import DEFAULT_NETWORK
from reconciler.store.base import Session

#: what a container that names no network is in: the instance's own, whatever its namespace holds
OWN = NetworkRef(name=DEFAULT_NETWORK.name)


def network(uid: str, observed: NetworkObserved, effective: NetworkSpec) -> NetworkConfig:
    return NetworkConfig(
        uid=uid,
        bridge=observed.bridge,
        subnet=observed.subnet,
        gateway=observed.gateway,
        mtu=effective.mtu,
        internal=effective.internal,
        masquerade=effective.masquerade,
    )


def find(session: Session, key: Key, ref: NetworkRef) -> tuple[Desired, NetworkObserved]:
    """The network that ``ref`` of container ``key`` names; its own namespace first, the instance's default last."""
    desired = None if ref is OWN else session.objects.live(Key("Network", key.namespace, ref.name))
    if desired is None and ref.name == DEFAULT_NETWORK.name:
        desired = session.objects.live(DEFAULT_NETWORK)
    if desired is None:
        raise errors.Conflict(f"{key}: network {ref.name!r} does not exist")
    observed = session.observed.get(desired.uid)
    if not isinstance(observed, NetworkObserved) or not observed.created:
        raise errors.Conflict(f"{key}: network {ref.name!r} is not there yet")
    return desired, observed


def refs(spec: ContainerSpec) -> tuple[NetworkRef, ...]:
    return spec.networks or (OWN,)


def endpoint(session: Session, uid: str, observed: ContainerObserved) -> EndpointConfig:
    """The endpoint of a container's present incarnation. A network that is gone keeps its interface's own facts."""
    incarnation = observed.incarnation
    published = ports.published(incarnation.effective) if incarnation else ()
    return EndpointConfig(
        uid=uid,
        interfaces=tuple(_interface(session, attachment) for attachment in observed.attachments),
        ports=tuple(PublishedPort(*port) for port in published),
    )


def _interface(session: Session, attachment: Attachment) -> Interface:
    found = session.observed.get(attachment.network_uid)
    state = found if isinstance(found, NetworkObserved) else NetworkObserved()
    effective = state.effective or NetworkSpec()
    return Interface(
        network_uid=attachment.network_uid,
        bridge=state.bridge,
        name=attachment.interface,
        host_name=attachment.host_interface,
        address=attachment.address,
        prefix=attachment.prefix,
        gateway=attachment.gateway,
        mac=attachment.mac,
        mtu=effective.mtu,
        internal=effective.internal,
    )
