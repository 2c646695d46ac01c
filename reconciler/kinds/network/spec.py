"""What a Network's manifest says."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Annotated

from reconciler import errors
from reconciler.kinds.base import values
from reconciler.kinds.base.document import Document
from reconciler.kinds.base.rules import Rule, Written
from reconciler.model import forms
from reconciler.model.fields import Field, Spec
from reconciler.model.findings import Finding, Path
from reconciler.model.keys import Key

_SUBNET = Field(
    "IPv4 subnet in CIDR notation, of a private range; a free one is chosen when left out.",
    pattern=r"^([0-9]{1,3}\.){3}[0-9]{1,3}/[0-9]{1,2}$",
    expects="an IPv4 subnet such as 10.89.1.0/24",
    form=forms.subnet,
)
_GATEWAY = values.address("The bridge's own address in the subnet; its first host address when left out.", "10.89.1.1")
_MTU = Field("Largest packet in bytes.", in_place=True, least=576, most=65535)
_INTERNAL = Field("True: no way out of this network, and no published ports into it.", in_place=True)
_MASQUERADE = Field("True: what leaves the host from this network bears the host's address.", in_place=True)


class NetworkSpec(Spec, frozen=True):
    """``subnet`` None means: pydock leases a free one. ``gateway`` None means the first host address."""

    subnet: Annotated[str | None, _SUBNET] = None
    gateway: Annotated[str | None, _GATEWAY] = None
    mtu: Annotated[int, _MTU] = 1500
    internal: Annotated[bool, _INTERNAL] = False
    masquerade: Annotated[bool, _MASQUERADE] = True


def _gateway_in_subnet(key: Key, spec: Written) -> Iterator[Finding]:
    if "gateway" not in spec:
        return
    path: Path = ("spec", "gateway")
    if "subnet" not in spec:
        yield Finding(path, "a gateway needs spec.subnet beside it")
        return
    try:
        network = ipaddress.IPv4Network(forms.subnet(spec["subnet"]))
        address = ipaddress.IPv4Address(forms.address(spec["gateway"]))
    except errors.Invalid:
        return  # said already
    if address not in network or address in (network.network_address, network.broadcast_address):
        yield Finding(path, f"{address} is no host address of the subnet {network}: expected one such as {network[1]}")


SPEC = NetworkSpec
RULES: tuple[Rule, ...] = (_gateway_in_subnet,)
DOCUMENT = Document(
    "A bridge network that containers join.",
    Field("The network wanted.", later=("subnets", "ipv6", "isolation", "dns", "driver")),
)
