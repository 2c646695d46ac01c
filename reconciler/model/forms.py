"""Canonical forms: what the text of a field means, the same for all its spellings.

Each raises ``errors.Invalid`` with a sentence for a value that means nothing: so a form is a field's check too.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from reconciler import errors
from reconciler.model import durations, quantity, references, signals, versions
from reconciler.model.findings import quote

#: above it, a user id is negative to some programs, and 2^32-1 means "leave as it is"
MAX_ID = 2**31 - 1
#: bytes of one component of a path (NAME_MAX)
MAX_COMPONENT = 255
#: bytes of one argument or variable that the kernel accepts (MAX_ARG_STRLEN, less its final NUL)
MAX_ARGUMENT = 131071
_PRIVATE = tuple(
    ipaddress.IPv4Network(net) for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
)

cpu = quantity.millicores
memory = quantity.memory
size = quantity.to_bytes
signal = signals.number
interval = durations.seconds
version_range = versions.check_range


def image(value: str) -> str:
    """The normalised reference: ``nginx`` is ``docker.io/library/nginx:latest``."""
    return str(references.parse(value))


def path(value: str) -> str:
    """An absolute path without ``.``, doubled slashes and a slash at the end."""
    parts = value.split("/")
    if ".." in parts:
        raise errors.Invalid(f"{quote(value)} contains '..': write the path without it")
    if any(len(part.encode()) > MAX_COMPONENT for part in parts):
        raise errors.Invalid(f"a part of the path is longer than {MAX_COMPONENT} bytes, the kernel's limit")
    return "/" + "/".join(part for part in parts if part not in ("", "."))


def mount_path(value: str) -> str:
    """A path at which something can be mounted."""
    target = path(value)
    if target == "/":
        raise errors.Invalid("nothing can be mounted over the container's root: name a directory below it")
    if (first := target.split("/")[1]) in ("proc", "sys"):
        raise errors.Invalid(f"/{first} belongs to the kernel: nothing can be mounted there")
    if target == "/dev":
        raise errors.Invalid("/dev holds the container's own devices: mount below it, or name another path")
    return target


def user(value: str) -> str:
    """``user[:group]``, ids without leading zeros: digits are always a number."""
    return ":".join(_id(part) if part.isdigit() else part for part in value.split(":"))


def _id(digits: str) -> str:
    if int(digits) > MAX_ID:
        raise errors.Invalid(f"id {digits} is too large: expected at most {MAX_ID}")
    return str(int(digits))


def argument(value: str) -> str:
    if len(value.encode()) > MAX_ARGUMENT:
        raise errors.Invalid(f"longer than {MAX_ARGUMENT} bytes, the kernel's limit for one argument")
    return value


def address(value: str) -> str:
    try:
        return str(ipaddress.IPv4Address(value))
    except ValueError:
        raise errors.Invalid(f"{quote(value)} is not an IPv4 address such as 127.0.0.1") from None


def subnet(value: str) -> str:
    """A private IPv4 subnet with room for a gateway and a container; there is one spelling only."""
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
    return value


def names(value: Iterable[str]) -> frozenset[str]:
    """A set: neither order nor repetition means anything."""
    return frozenset(value)


def names_or_all(value: Iterable[str]) -> frozenset[str]:
    """A set in which ``ALL`` includes the others."""
    found = frozenset(value)
    return frozenset({"ALL"}) if "ALL" in found else found
