"""Netlink messages to and from bytes, as pyroute2 declares them.

What is sent is encoded by pyroute2's message classes. What is received is read by a loop of our own that takes
formats, names and numbers from the same classes but decodes only the few attributes that are asked for: pyroute2
decodes all of a link's sixty, which takes 290 µs a link where this takes 10.
"""

from __future__ import annotations

import functools
import struct
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.drivers.network import pyroute

Attributes = Iterable[tuple[str, Any]]

_ATTRIBUTE = struct.Struct("=HH")
_TYPE_MASK = ~(pyroute.netlink.NLA_F_NESTED | pyroute.netlink.NLA_F_NET_BYTEORDER) & 0xFFFF


def layout(fields: Iterable[tuple[str, str]]) -> struct.Struct:
    """The fixed part of a message whose ``fields`` are declared as pyroute2's are."""
    return struct.Struct("=" + "".join(form for _, form in fields))


#: length, type, flags, sequence number, port: before every message
HEADER = layout(pyroute.nlmsg.header)


def numbers(declared: Any, *names: str) -> tuple[int, ...]:
    """The types of the attributes ``names`` of a message or attribute class."""
    known = {}
    for place, item in enumerate(declared.nla_map):
        number, name = item[:2] if isinstance(item[0], int) else (place, item[0])
        known[name] = number
    return tuple(known[name] for name in names)


def nested(*attributes: tuple[str, Any]) -> dict[str, Any]:
    """The value of an attribute that holds attributes."""
    return {"attrs": list(attributes)}


def encode(declared: Any, fields: Mapping[str, Any], attributes: Attributes = ()) -> bytes:
    """A message's body: what comes after the netlink header. ``declared`` is its class; an attribute is its name and
    its value in the form that the class wants (an address as text, say). Fields left out are 0.

    The fixed part is packed here: pyroute2 looks for every field among the attributes too, and takes twice as long.
    """
    fixed = b"".join(_pack(packer, fields.get(name, missing)) for name, packer, missing in _packers(declared))
    message = declared()
    message.update(fields)
    message.data = bytearray(fixed)
    message["attrs"] = list(attributes)
    if message["attrs"]:
        message.encode_nlas(len(fixed))
    return bytes(message.data)


def _pack(packer: struct.Struct, value: Any) -> bytes:
    return packer.pack(*value) if isinstance(value, tuple) else packer.pack(value)


@functools.cache
def _packers(declared: Any) -> tuple[tuple[str, struct.Struct, Any], ...]:
    """Of every field its name, its format, and its value when it is left out: padding has none."""
    return tuple((name, struct.Struct(_native(form)), () if form[-1] == "x" else 0) for name, form in declared.fields)


def _native(form: str) -> str:
    """A format in its own byte order, else in the host's."""
    return form if form[0] in "<>!=" else f"={form}"


def again(kind: int, payload: memoryview) -> bytes:
    """An attribute that holds attributes, sent as it was received."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(payload), kind | pyroute.netlink.NLA_F_NESTED) + payload


def decode(declared: Any, body: memoryview) -> Any:
    """A message of the class ``declared``, all of it: where there are few."""
    message = declared(data=HEADER.pack(HEADER.size + len(body), 0, 0, 0, 0) + body)
    message.decode()
    return message


def attributes(data: memoryview, offset: int = 0) -> dict[int, memoryview]:
    """The attributes of ``data`` from ``offset`` on, by type without flag bits (the last of a type wins)."""
    found: dict[int, memoryview] = {}
    end = len(data)
    unpack = _ATTRIBUTE.unpack_from
    while offset + 4 <= end:
        length, kind = unpack(data, offset)
        if length < 4:
            break
        found[kind & _TYPE_MASK] = data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


def string(data: memoryview | None) -> str:
    """The text of a string attribute; empty when it is missing."""
    return bytes(data).rstrip(b"\0").decode(errors="replace") if data is not None else ""


def integer(data: memoryview | None) -> int:
    """The number in a host-order attribute of 1 to 8 bytes; 0 when it is missing."""
    return int.from_bytes(data, sys.byteorder) if data is not None else 0
