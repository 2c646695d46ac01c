"""The instance's firewall table as text and as data. Pure.

The chains never change; what changes are elements of sets and maps, each with its owner's uid as comment:

    bridges, internal    our bridges, and those of internal networks
    same_bridge          pairs of one bridge with itself (bridged packets come here when bridge-nf-call-iptables is 1)
    subnets, outbound    our subnets, and those that leave the host masqueraded
    gateways             bridge → the address that stands for the host in it
    published            protocol . port → address . port, for every address of the host
    published_at         the same for one address of the host

What the chains do, and why so:

* ``guard``: route_localnet is on for our bridges (or 127.0.0.1 could not be published), so nothing from a container may
  pretend to be, or reach, the host's loopback.
* ``prerouting`` leaves 127.0.0.0/8 out, so that a neighbour on the wire can never reach a port published there,
  whatever route_localnet says for the host's own links.
* ``forwarding`` drops what is new and goes into one of our bridges from anywhere else: the wire, other networks, other
  instances. Its ``accept`` ends this chain only, so a drop in the host's own tables still holds.
* ``postrouting``: a connection from loopback, from one of our own subnets through a published port, or into an internal
  network gets the gateway as its source (``snat``, not ``masquerade``: the kernel forgets masqueraded
  connections when the bridge goes down, and a repaired bridge should find them alive).
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from reconciler.drivers.network.base import EndpointConfig, NetworkConfig, PublishedPort

_SETS = {
    "bridges": "set bridges { type ifname; }",
    "internal": "set internal { type ifname; }",
    "same_bridge": "set same_bridge { type ifname . ifname; }",
    "subnets": "set subnets { type ipv4_addr; flags interval; }",
    "outbound": "set outbound { type ipv4_addr; flags interval; }",
    "gateways": "map gateways { type ifname : ipv4_addr; }",
    "published": "map published { type inet_proto . inet_service : ipv4_addr . inet_service; }",
    "published_at": "map published_at { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }",
}
NETWORK_SETS = ("bridges", "internal", "same_bridge", "subnets", "outbound", "gateways")
PORT_SETS = ("published", "published_at")

_CHAINS: dict[str, tuple[str, tuple[str, ...]]] = {
    "guard": (
        "type filter hook prerouting priority -300; policy accept;",
        ("iifname @bridges ip daddr 127.0.0.0/8 drop", "iifname @bridges ip saddr 127.0.0.0/8 drop"),
    ),
    "publish": (
        "",
        (
            "meta l4proto { 6, 17 } dnat ip to ip daddr . meta l4proto . th dport map @published_at",
            "meta l4proto { 6, 17 } dnat ip to meta l4proto . th dport map @published",
        ),
    ),
    "prerouting": (
        "type nat hook prerouting priority -100; policy accept;",
        ("ip daddr != 127.0.0.0/8 fib daddr type local jump publish",),
    ),
    "local_out": ("type nat hook output priority -100; policy accept;", ("fib daddr type local jump publish",)),
    "forwarding": (
        "type filter hook forward priority 0; policy accept;",
        (
            "ct state established,related accept",
            "iifname . oifname @same_bridge accept",
            "iifname @internal drop",
            "oifname @internal drop",
            "iifname @bridges ct state invalid drop",
            "ct status dnat accept",
            "oifname @bridges drop",
        ),
    ),
    "postrouting": (
        "type nat hook postrouting priority 100; policy accept;",
        (
            "ip saddr 127.0.0.0/8 snat ip to oifname map @gateways",
            "ct status dnat ip saddr @subnets snat ip to oifname map @gateways",
            "ct status dnat oifname @internal snat ip to oifname map @gateways",
            "ip saddr @outbound oifname != @bridges masquerade",
        ),
    ),
}

_PROTOCOLS = {"tcp": "6", "udp": "17"}
_PROTOCOL_NAMES = {number: name for name, number in _PROTOCOLS.items()}


class Element(NamedTuple):
    """``key`` and ``value`` as nft writes them, parts joined by `` . `` (protocols as numbers: a host may have no
    /etc/protocols); ``value`` is empty in a set. ``owner`` is a network's or container's uid."""

    set: str
    key: str
    value: str
    owner: str


class Listing(NamedTuple):
    """A table as the kernel has it: definitions of sets and chains by kind and name, each chain's rules, and the
    elements by set and key. Handles and counters are left out. ``version`` is nftables'."""

    definitions: dict[tuple[str, str], Any]
    rules: dict[str, list[Any]]
    elements: dict[tuple[str, str], Element]
    version: str = ""


def table_text(table: str) -> str:
    """Commands that make the whole table without elements."""
    sets = "".join(f"  {definition}\n" for definition in _SETS.values())
    chains = "".join(
        f"  chain {name} {{ {header}\n" + "".join(f"    {rule}\n" for rule in rules) + "  }\n"
        for name, (header, rules) in _CHAINS.items()
    )
    return f"table ip {table} {{\n{sets}{chains}}}\n"


def replace_text(table: str) -> str:
    """Commands that make the table anew, whether or not there is one."""
    return f"add table ip {table}\ndelete table ip {table}\n{table_text(table)}"


def chain_text(table: str, chain: str) -> str:
    """Commands that bring one chain's rules back."""
    rules = "".join(f"add rule ip {table} {chain} {rule}\n" for rule in _CHAINS[chain][1])
    return f"flush chain ip {table} {chain}\n{rules}"


def add_text(table: str, elements: Iterable[Element]) -> str:
    return "".join(
        f'add element ip {table} {item.set} {{ {_quoted(item.key)} comment "{item.owner}"'
        + (f" : {item.value}" if item.value else "")
        + " }\n"
        for item in elements
    )


def delete_text(table: str, elements: Iterable[Element]) -> str:
    return "".join(f"delete element ip {table} {item.set} {{ {_quoted(item.key)} }}\n" for item in elements)


def _quoted(key: str) -> str:
    """Link names in quotes, numbers and addresses bare."""
    return " . ".join(part if part[0].isdigit() else f'"{part}"' for part in key.split(" . "))


def network_elements(config: NetworkConfig) -> list[Element]:
    """What the table holds for a network."""
    subnet = str(ipaddress.ip_network(config.subnet))
    found = [
        Element("bridges", config.bridge, "", config.uid),
        Element("same_bridge", f"{config.bridge} . {config.bridge}", "", config.uid),
        Element("subnets", subnet, "", config.uid),
        Element("gateways", config.bridge, config.gateway, config.uid),
    ]
    if config.internal:
        found.append(Element("internal", config.bridge, "", config.uid))
    elif config.masquerade:
        found.append(Element("outbound", subnet, "", config.uid))
    return found


def port_elements(config: EndpointConfig) -> list[Element]:
    """What the table holds for an endpoint: its ports lead to its first interface that is not internal, or to its
    first."""
    if not config.interfaces:
        return []
    target = next((item for item in config.interfaces if not item.internal), config.interfaces[0])
    return [_port_element(port, target.address, config.uid) for port in config.ports]


def _port_element(port: PublishedPort, address: str, owner: str) -> Element:
    service = f"{_PROTOCOLS[port.protocol]} . {port.host_port}"
    value = f"{address} . {port.container_port}"
    if port.host_ip == "0.0.0.0":
        return Element("published", service, value, owner)
    return Element("published_at", f"{port.host_ip} . {service}", value, owner)


def published_port(element: Element) -> PublishedPort:
    """The published port that an element of ``PORT_SETS`` stands for."""
    *host_ip, protocol, port = element.key.split(" . ")
    container_port = int(element.value.split(" . ")[1])
    return PublishedPort(host_ip[0] if host_ip else "0.0.0.0", int(port), container_port, _PROTOCOL_NAMES[protocol])


def target_address(element: Element) -> str:
    """The container's address that an element of ``PORT_SETS`` leads to."""
    return element.value.split(" . ")[0]


def clash(one: Element, other: Element) -> bool:
    """Whether two elements cannot both be: one key twice, or one port at an address and at every address."""
    if one.set == other.set:
        return one.key == other.key
    if one.set not in PORT_SETS or other.set not in PORT_SETS:
        return False
    return one.key.split(" . ")[-2:] == other.key.split(" . ")[-2:]


def parse(text: str) -> Listing:
    """Reads the JSON of ``list table``."""
    items = json.loads(text)["nftables"]
    version = next((item["metainfo"]["version"] for item in items if "metainfo" in item), "")
    listing = Listing({}, {}, {}, version)
    for item in items:
        ((kind, body),) = item.items()
        if kind == "rule":
            listing.rules.setdefault(body["chain"], []).append(_rule(body))
        elif kind != "metainfo":
            for element in body.pop("elem", ()):
                _add_element(listing, body["name"], element)
            body.pop("handle", None)
            listing.definitions[kind, body["name"]] = body
    return listing


def _rule(body: dict[str, Any]) -> Any:
    return [part for part in body["expr"] if "counter" not in part]


def _add_element(listing: Listing, name: str, item: Any) -> None:
    key, value = item if isinstance(item, list) else (item, "")
    owner = ""
    if isinstance(key, dict) and "elem" in key:
        owner = key["elem"].get("comment", "")
        key = key["elem"]["val"]
    element = Element(name, _words(key), _words(value), owner)
    listing.elements[name, element.key] = element


def _words(value: Any) -> str:
    """A key or value of the JSON as nft's text."""
    if isinstance(value, dict):
        if "concat" in value:
            return " . ".join(_words(part) for part in value["concat"])
        if "prefix" in value:
            return f"{value['prefix']['addr']}/{value['prefix']['len']}"
        if "range" in value:
            return "-".join(_words(part) for part in value["range"])
        return json.dumps(value, sort_keys=True)
    return _PROTOCOLS.get(str(value), str(value))
