"""What of a network changes."""

from __future__ import annotations

import ipaddress

import msgspec

from reconciler.kinds.base import comparison
from reconciler.kinds.network.observed import NetworkObserved
from reconciler.kinds.network.spec import NetworkSpec
from reconciler.model.objects import Desired
from reconciler.model.plan import FieldChange


def changes(observed: NetworkObserved, desired: Desired) -> tuple[FieldChange, ...]:
    """Changed fields of a network that has been made, its subnet and gateway compared with those in use."""
    if observed.effective is None or observed.written == desired.spec:
        return ()
    wanted = msgspec.convert(desired.spec, NetworkSpec)
    subnet = wanted.subnet or observed.subnet
    now = msgspec.structs.replace(wanted, subnet=subnet, gateway=wanted.gateway or first_host(subnet))
    then = msgspec.structs.replace(observed.effective, subnet=observed.subnet, gateway=observed.gateway)
    return tuple(comparison.spec_changes(observed.written, then, desired.spec, now))


def first_host(subnet: str) -> str:
    """The address that a network's bridge has when no gateway is written."""
    return str(ipaddress.ip_network(subnet)[1])
