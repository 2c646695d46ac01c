"""What a schema cannot say: rules across fields, and values with a grammar of their own.

The specs given are sane: what the schema found wrong was taken out, wrong entries of lists are None.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from typing import Any

from reconciler import errors
from reconciler.manifest import paths
from reconciler.manifest.sentences import Finding, quote
from reconciler.model import quantity, references, signals, versions
from reconciler.model.keys import Key

Spec = dict[str, Any]
Rule = Callable[[Key, Spec], Iterator[Finding]]

#: bytes of one argument or variable that the kernel takes (MAX_ARG_STRLEN, less its final NUL)
MAX_ARGUMENT = 131071
#: above it, a user id is negative to some programs, and 2^32-1 means "leave as it is"
MAX_ID = 2**31 - 1
#: bytes of one component of a path (NAME_MAX)
MAX_COMPONENT = 255
_PRIVATE = tuple(
    ipaddress.IPv4Network(net) for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
)
_ANY_ADDRESS = "0.0.0.0"


def check(kind: str, key: Key, spec: Spec) -> list[Finding]:
    """What is wrong with ``spec`` beyond its schema."""
    return [finding for rule in _RULES[kind] for finding in rule(key, spec)]


def _entries(spec: Spec, field: str) -> Iterator[tuple[int, Any]]:
    return ((index, entry) for index, entry in enumerate(spec.get(field, ())) if entry is not None)


def _said(path: paths.Path, parse: Callable[[Any], Any], value: Any) -> Iterator[Finding]:
    try:
        parse(value)
    except errors.Invalid as error:
        yield Finding(path, error.message)


def _image(key: Key, spec: Spec) -> Iterator[Finding]:
    for field in ("image", "reference"):
        if field in spec:
            yield from _said(("spec", field), references.parse, spec[field])


def _update_policy(key: Key, spec: Spec) -> Iterator[Finding]:
    policy = spec.get("updatePolicy") or {}
    path: paths.Path = ("spec", "updatePolicy", "range")
    if policy.get("type") == "SemVer":
        if "range" not in policy:
            yield Finding(path[:-1], "SemVer needs a range beside it, such as 1.x")
        if "@" in spec.get("reference", ""):
            yield Finding(("spec", "reference"), "a digest is one image for ever: SemVer needs a reference without")
    elif "range" in policy and "type" in policy:
        yield Finding(path, f"only SemVer has a range: the type is {policy['type']}")
    if "range" in policy:
        yield from _said(path, versions.check_range, policy["range"])


def _arguments(key: Key, spec: Spec) -> Iterator[Finding]:
    for field in ("command", "args"):
        for index, argument in _entries(spec, field):
            if len(argument.encode()) > MAX_ARGUMENT:
                yield Finding(
                    ("spec", field, index), f"longer than {MAX_ARGUMENT} bytes, the kernel's limit for one argument"
                )


def _env(key: Key, spec: Spec) -> Iterator[Finding]:
    yield from _twice(spec, "env", "name")
    for index, variable in _entries(spec, "env"):
        if len(variable["name"]) + 1 + len(variable.get("value", "").encode()) > MAX_ARGUMENT:
            yield Finding(
                ("spec", "env", index), f"longer than {MAX_ARGUMENT} bytes, the kernel's limit for one variable"
            )


def _networks(key: Key, spec: Spec) -> Iterator[Finding]:
    yield from _twice(spec, "networks", "name")


def _dependencies(key: Key, spec: Spec) -> Iterator[Finding]:
    yield from _twice(spec, "dependsOn", "name")
    for index, dependency in _entries(spec, "dependsOn"):
        if dependency["name"] == key.name:
            yield Finding(("spec", "dependsOn", index, "name"), "a container cannot depend on itself")


def _twice(spec: Spec, field: str, name: str) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for index, entry in _entries(spec, field):
        first = seen.setdefault(entry[name], index)
        if first != index:
            yield Finding(
                ("spec", field, index, name), f"{quote(entry[name])} is given twice: first in spec.{field}[{first}]"
            )


def _ports(key: Key, spec: Spec) -> Iterator[Finding]:
    seen: dict[tuple[int, str], list[tuple[str, int]]] = {}
    for index, port in _entries(spec, "ports"):
        address, protocol = port.get("hostIP", _ANY_ADDRESS), port.get("protocol", "TCP")
        yield from _said(("spec", "ports", index, "hostIP"), _address, address)
        others = seen.setdefault((port["hostPort"], protocol), [])
        clash = next((first for other, first in others if other == address or _ANY_ADDRESS in (other, address)), None)
        if clash is not None:
            path = ("spec", "ports", index, "hostPort")
            yield Finding(
                path, f"{protocol} port {port['hostPort']} of the host is published twice: first in spec.ports[{clash}]"
            )
        others.append((address, index))


def _mounts(key: Key, spec: Spec) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for index, mount in _entries(spec, "mounts"):
        at: paths.Path = ("spec", "mounts", index)
        target = "/" + "/".join(_parts(mount["mountPath"]))
        yield from _said((*at, "mountPath"), _target, mount["mountPath"])
        first = seen.setdefault(target, index)
        if first != index:
            yield Finding((*at, "mountPath"), f"{quote(target)} is mounted twice: first in spec.mounts[{first}]")
        if "hostPath" in mount:
            yield from _said((*at, "hostPath", "path"), _path, mount["hostPath"]["path"])
        if "sizeLimit" in mount.get("tmpfs", ()):
            yield from _said((*at, "tmpfs", "sizeLimit"), quantity.to_bytes, mount["tmpfs"]["sizeLimit"])


def _working_dir(key: Key, spec: Spec) -> Iterator[Finding]:
    if "workingDir" in spec:
        yield from _said(("spec", "workingDir"), _path, spec["workingDir"])


def _path(value: str) -> str:
    parts = value.split("/")
    if ".." in parts:
        raise errors.Invalid(f"{quote(value)} contains '..': write the path without it")
    if any(len(part.encode()) > MAX_COMPONENT for part in parts):
        raise errors.Invalid(f"a part of the path is longer than {MAX_COMPONENT} bytes, the kernel's limit")
    return value


def _target(value: str) -> str:
    parts = _parts(_path(value))
    if not parts:
        raise errors.Invalid("nothing can be mounted over the container's root: name a directory below it")
    if parts[0] in ("proc", "sys"):
        raise errors.Invalid(f"/{parts[0]} belongs to the kernel: nothing can be mounted there")
    if parts == ["dev"]:
        raise errors.Invalid("/dev holds the container's own devices: mount below it, or name another path")
    return value


def _parts(value: str) -> list[str]:
    return [part for part in value.split("/") if part not in ("", ".")]


def _user(key: Key, spec: Spec) -> Iterator[Finding]:
    for part in spec.get("user", "").split(":"):
        if part.isdigit() and int(part) > MAX_ID:
            yield Finding(("spec", "user"), f"id {part} is too large: expected at most {MAX_ID}")


def _limits(key: Key, spec: Spec) -> Iterator[Finding]:
    limits = spec.get("resources", {}).get("limits", {})
    for field, parse in (("cpu", quantity.millicores), ("memory", quantity.memory)):
        if field in limits:
            yield from _said(("spec", "resources", "limits", field), parse, limits[field])


def _signal(key: Key, spec: Spec) -> Iterator[Finding]:
    if "stopSignal" in spec:
        yield from _said(("spec", "stopSignal"), signals.number, spec["stopSignal"])


def _subnet(key: Key, spec: Spec) -> Iterator[Finding]:
    found = list(_said(("spec", "subnet"), _network, spec["subnet"])) if "subnet" in spec else []
    yield from found
    if "gateway" not in spec:
        return
    path = ("spec", "gateway")
    if "subnet" not in spec:
        yield Finding(path, "a gateway needs spec.subnet beside it")
        return
    wrong = list(_said(path, _address, spec["gateway"]))
    yield from wrong
    if not found and not wrong:
        network, address = _network(spec["subnet"]), ipaddress.IPv4Address(spec["gateway"])
        if address not in network or address in (network.network_address, network.broadcast_address):
            yield Finding(
                path, f"{address} is no host address of the subnet {network}: expected one such as {network[1]}"
            )


def _network(value: str) -> ipaddress.IPv4Network:
    try:
        network = ipaddress.IPv4Network(value, strict=False)
    except ValueError:
        raise errors.Invalid(f"{quote(value)} is not an IPv4 subnet such as 10.89.1.0/24") from None
    if str(network) != value:
        raise errors.Invalid(f"{quote(value)} has bits set beyond its prefix: did you mean {network}?")
    if not any(network.subnet_of(private) for private in _PRIVATE):
        ranges = ", ".join(str(private) for private in _PRIVATE)
        raise errors.Invalid(f"{network} is not in a private range: expected a part of {ranges}")
    if network.prefixlen > 30:
        raise errors.Invalid(f"{network} has no room for a gateway and a container: expected a prefix of at most 30")
    return network


def _address(value: str) -> ipaddress.IPv4Address:
    try:
        return ipaddress.IPv4Address(value)
    except ValueError:
        raise errors.Invalid(f"{quote(value)} is not an IPv4 address such as 127.0.0.1") from None


_RULES: dict[str, tuple[Rule, ...]] = {
    "Image": (_image, _update_policy),
    "Network": (_subnet,),
    "Container": (
        _image,
        _arguments,
        _env,
        _working_dir,
        _user,
        _ports,
        _networks,
        _mounts,
        _limits,
        _dependencies,
        _signal,
    ),
}
