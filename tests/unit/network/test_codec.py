"""What is sent is what pyroute2 would send, and what pyroute2 reads is what we read."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.drivers.network import codec, links
from reconciler.drivers.network.links import Address, Link, Route
from reconciler.drivers.network.netlink import Message, Reply
from reconciler.drivers.network.pyroute import diag, ifaddrmsg, ifinfmsg, ndmsg, nfctsocket, rtmsg

MAC = "02:70:0a:01:01:07"


@given(st.dictionaries(st.integers(1, 0x3FFF), st.binary(max_size=40), max_size=10), st.integers(0, 8))
def test_attributes_are_found(values: dict[int, bytes], offset: int) -> None:
    data = bytes(offset)
    for kind, payload in values.items():
        data += struct.pack("=HH", len(payload) + 4, kind) + payload + bytes(-len(payload) % 4)
    found = codec.attributes(memoryview(data), offset)
    assert {kind: bytes(payload) for kind, payload in found.items()} == values


@given(st.binary(max_size=200))
def test_garbage_ends(data: bytes) -> None:
    codec.attributes(memoryview(data))


def test_missing_values() -> None:
    assert codec.string(None) == ""
    assert codec.integer(None) == 0


def test_what_pyroute2_does_not_know_is_refused() -> None:
    with pytest.raises(KeyError):
        codec.numbers(ifinfmsg, "IFLA_NOTHING")


@pytest.mark.parametrize(
    ("declared", "fields", "attributes"),
    [
        (ifinfmsg, {"index": 7, "flags": 1, "change": 1}, [("IFLA_IFNAME", "pdv0"), ("IFLA_MTU", 1400)]),
        (ifaddrmsg, {"family": 2, "prefixlen": 24, "index": 3}, [("IFA_LOCAL", "10.1.1.7")]),
        (rtmsg, {"family": 2, "table": 254, "proto": 3, "type": 1}, [("RTA_GATEWAY", "10.1.1.1"), ("RTA_OIF", 3)]),
        (ndmsg, {"family": 2, "ifindex": 3, "state": 2}, [("NDA_DST", "10.1.1.7"), ("NDA_LLADDR", MAC)]),
        (diag.inet_diag_req, {"idiag_sport": 80, "idiag_src": (1, 2, 3, 4), "idiag_dst": (0,) * 4}, []),
        (nfctsocket.nfct_msg, {"nfgen_family": 2}, [("CTA_FILTER", codec.nested(("CTA_FILTER_ORIG_FLAGS", 40)))]),
    ],
)
def test_the_fixed_part_is_packed_as_pyroute2_packs_it(declared: Any, fields: dict[str, Any], attributes: Any) -> None:
    message = declared()
    message.update(dict.fromkeys((name for name, _ in declared.fields), 0) | fields)
    message["attrs"] = list(attributes)
    message.encode()
    assert codec.encode(declared, fields, attributes) == bytes(message.data[codec.HEADER.size :])


def sent(message: Message, declared: Any) -> Any:
    """A request as pyroute2 reads it."""
    return codec.decode(declared, memoryview(message.body))


def test_a_veth_in_full() -> None:
    veth = sent(links.add_veth("pdv0", 9, "eth0", MAC, 1400, 5), ifinfmsg)
    assert [veth.get(key) for key in ("ifname", "master", "mtu")] == ["pdv0", 9, 1400]
    assert veth.get(("linkinfo", "kind")) == "veth"
    peer = veth.get(("linkinfo", "data")).get_attr("VETH_INFO_PEER")
    assert [peer.get(key) for key in ("ifname", "address", "mtu", "net_ns_fd")] == ["eth0", MAC, 1400, 5]


def test_a_bridge_in_full() -> None:
    bridge = sent(links.add_bridge("pdb0", MAC), ifinfmsg)
    assert [bridge.get(key) for key in ("ifname", "address")] == ["pdb0", MAC]
    assert bridge.get(("linkinfo", "kind")) == "bridge"
    settings = bridge.get(("linkinfo", "data"))
    assert [settings.get(key) for key in ("br_forward_delay", "br_stp_state")] == [0, 0]


def test_changes_of_a_link() -> None:
    changed = sent(links.set_link("pdv0", alias="pydock:a", up=True), ifinfmsg)
    assert [changed.get(key) for key in ("ifname", "ifalias", "mtu")] == ["pdv0", "pydock:a", None]
    assert (changed["flags"], changed["change"]) == (1, 1)
    port = sent(links.set_hairpin("pdv0"), ifinfmsg).get(("linkinfo", "slave_data"))
    assert port.get("mode") == 1


def test_a_link_reads_as_pyroute2_reads_it() -> None:
    port = codec.nested(("IFLA_BRPORT_MODE", 1))
    info = codec.nested(("IFLA_INFO_KIND", "veth"), ("IFLA_INFO_SLAVE_KIND", "bridge"), ("IFLA_INFO_SLAVE_DATA", port))
    attributes = [
        ("IFLA_IFNAME", "pdv0"), ("IFLA_IFALIAS", "pydock:a"), ("IFLA_MTU", 1400), ("IFLA_ADDRESS", MAC),
        ("IFLA_MASTER", 9), ("IFLA_LINK", 2), ("IFLA_TXQLEN", 1000), ("IFLA_LINKINFO", info),
    ]  # fmt: skip
    body = memoryview(codec.encode(ifinfmsg, {"index": 7, "flags": 0x1003}, attributes))
    assert links.link(Reply(16, body)) == Link(7, "pdv0", "veth", "pydock:a", True, 1400, MAC, 9, 2, hairpin=True)
    assert links.link(None) is None


def test_an_address_and_a_route_read_back() -> None:
    assert links.address(Reply(20, memoryview(links.add_address(3, "10.1.1.7", 24).body))) == Address(3, "10.1.1.7", 24)
    default = links.add_default_route(3, "10.1.1.1")
    assert links.route(Reply(24, memoryview(default.body))) == Route("0.0.0.0", 0, "10.1.1.1", 3)
    direct = links.add_direct_route(3, "10.1.1.0", 24, "10.1.1.7")
    assert links.route(Reply(24, memoryview(direct.body))) == Route("10.1.1.0", 24, "", 3)
    assert sent(direct, rtmsg).get("prefsrc") == "10.1.1.7"
    broadcast = sent(links.add_address(3, "10.1.1.7", 24), ifaddrmsg).get("broadcast")
    assert broadcast == "10.1.1.255"


def test_questions_are_encoded_once() -> None:
    assert links.get_link("pdv0") is links.get_link("pdv0")
    assert links.get_link("pdv0") != links.get_link("pdv1")
