"""How containers are attached to networks: which networks they mean, and what their attachments must contain."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from reconciler.kinds.base.context import Context
from reconciler.kinds.network import changes
from reconciler.kinds.network.observed import NetworkFacet, NetworkObserved
from reconciler.model import kinds
from reconciler.model.keys import Key
from reconciler.model.objects import Desired
from reconciler.model.view import DEFAULT_NETWORK, Entry, Moment

#: what a reboot takes from a network
_OF_A_BOOT: tuple[NetworkFacet, ...] = ("bridge", "address", "rules")


class Wiring(NamedTuple):
    """What attachments to a network must contain. An empty gateway is not known yet."""

    uid: str
    gateway: str = ""
    prefix: int = 0


def network_observed(entry: Entry) -> NetworkObserved:
    return entry.observed if isinstance(entry.observed, NetworkObserved) else NetworkObserved()


def this_boot(observed: NetworkObserved, now: Moment) -> NetworkObserved:
    """``observed`` as it is to be read in this boot: a network that was made in an earlier boot counts as without
    bridge and rules until it was looked at."""
    if not observed.created or not observed.boot_id or observed.boot_id == now.boot_id:
        return observed
    return msgspec.structs.replace(observed, drift=_OF_A_BOOT, boot_id=now.boot_id, error="", error_count=0)


def networks(context: Context, desired: Desired) -> tuple[Key, ...]:
    """The networks of a container, in its order. One that names none is in the instance's own, even if its namespace
    has one of that name."""
    written = desired.spec.get("networks")
    if not written:
        return (DEFAULT_NETWORK,)
    return tuple(_network(context, desired, str(item["name"])) for item in written)


def wiring(context: Context, key: Key) -> Wiring | None:
    """What attachments to the live network of that key must contain once its own plan is done; None if there is no such
    network.
    """

    def find() -> Wiring | None:
        entry = context.view.live.get(key)
        return _wiring(entry) if entry is not None else None

    return context.once(("wiring", key), find)


def _network(context: Context, desired: Desired, name: str) -> Key:
    """The network that a container means by ``name``: that of its own namespace, or else the instance's default."""
    key = Key(kinds.NETWORK.name, desired.key.namespace, name)
    return DEFAULT_NETWORK if name == DEFAULT_NETWORK.name and key not in context.view.live else key


def _wiring(entry: Entry) -> Wiring:
    uid, observed = entry.desired.uid, network_observed(entry)
    if not observed.created or not observed.subnet:
        return Wiring(uid)
    subnet, gateway = observed.subnet, observed.gateway
    for change in changes.changes(observed, entry.desired):
        if change.path == "spec.subnet":
            subnet = str(change.new)
        elif change.path == "spec.gateway":
            gateway = str(change.new)
    if subnet != observed.subnet and gateway == observed.gateway:
        gateway = changes.first_host(subnet)
    return Wiring(uid, gateway, int(subnet.rpartition("/")[2]))
