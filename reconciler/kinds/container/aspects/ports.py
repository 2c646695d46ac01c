"""Published ports: an edit changes them in the kernel while the container runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from reconciler.kinds.base import values
from reconciler.kinds.base.rules import Written, entries
from reconciler.kinds.container.aspects.base import Aspect, Running
from reconciler.model.fields import Field, Spec
from reconciler.model.findings import Finding, Path
from reconciler.model.keys import Key

if TYPE_CHECKING:
    from reconciler.kinds.container.spec import ContainerSpec

Protocol = Literal["TCP", "UDP"]
_ANY_ADDRESS = "0.0.0.0"
_HOST_IP = values.address("The host's IPv4 address to publish on; all of them by default.", "127.0.0.1")


class Port(Spec, frozen=True):
    container_port: Annotated[int, Field("The port inside the container.", least=1, most=65535)]
    host_port: Annotated[int, Field("The port on the host.", least=1, most=65535)]
    protocol: Annotated[Protocol, Field("The transport protocol.")] = "TCP"
    host_ip: Annotated[str, _HOST_IP] = msgspec.field(default=_ANY_ADDRESS, name="hostIP")


def published(spec: ContainerSpec) -> tuple[tuple[str, int, int, str], ...]:
    """For each port its (host_ip, host_port, container_port, protocol), as the network driver takes them."""
    return tuple((port.host_ip, port.host_port, port.container_port, port.protocol.lower()) for port in spec.ports)


def _wire(running: Running) -> None:
    running.wire()


def _once(key: Key, spec: Written) -> Iterator[Finding]:
    """A port of the host leads to one place; 0.0.0.0 is every address."""
    seen: dict[tuple[int, str], list[tuple[str, int]]] = {}
    for index, port in entries(spec, "ports"):
        address, protocol = port.get("hostIP", _ANY_ADDRESS), port.get("protocol", "TCP")
        others = seen.setdefault((port["hostPort"], protocol), [])
        clash = next((first for other, first in others if other == address or _ANY_ADDRESS in (other, address)), None)
        if clash is not None:
            path: Path = ("spec", "ports", index, "hostPort")
            said = f"{protocol} port {port['hostPort']} of the host is published twice: first in spec.ports[{clash}]"
            yield Finding(path, said)
        others.append((address, index))


#: docker's [ADDRESS:]HOST:CONTAINER[/PROTOCOL]
_SHORT = (
    (r"([0-9]+):([0-9]+)(?:/tcp)?", "hostPort: \\1 and containerPort: \\2"),
    (r"([0-9]+):([0-9]+)/udp", "hostPort: \\1, containerPort: \\2 and protocol: UDP"),
    (r"([0-9.]+):([0-9]+):([0-9]+)(?:/tcp)?", "hostIP: \\1, hostPort: \\2 and containerPort: \\3"),
    (r"([0-9.]+):([0-9]+):([0-9]+)/udp", "hostIP: \\1, hostPort: \\2, containerPort: \\3 and protocol: UDP"),
    (r"([0-9]+)(?:/tcp)?", "containerPort: \\1 and the hostPort that leads to it"),
    (r"([0-9]+)/udp", "containerPort: \\1, protocol: UDP and the hostPort that leads to it"),
)

Ports = Annotated[
    tuple[Annotated[Port, Field("One published port.", later=("name",), short=_SHORT)], ...],
    Field(
        "Ports of the container published on the host.",
        in_place=True,
        max_items=1024,
        keys=("hostPort", "protocol", "hostIP"),
        named=("containerPort", "protocol"),
    ),
    Aspect("ports", rules=(_once,), live=published, apply=_wire),
]
