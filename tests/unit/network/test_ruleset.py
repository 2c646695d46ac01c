"""The firewall table as text and data."""

from __future__ import annotations

import json

from reconciler.drivers.network import ruleset
from reconciler.drivers.network.ruleset import Element
from reconciler.testing import network_tools as tools

NETWORK = tools.network("unit", "net", "10.1.2.0/24")


def test_elements_of_a_network() -> None:
    text = ruleset.add_text("pydock_unit", ruleset.network_elements(NETWORK))
    bridge = NETWORK.bridge
    assert text == (
        f'add element ip pydock_unit bridges {{ "{bridge}" comment "net" }}\n'
        f'add element ip pydock_unit same_bridge {{ "{bridge}" . "{bridge}" comment "net" }}\n'
        'add element ip pydock_unit subnets { 10.1.2.0/24 comment "net" }\n'
        f'add element ip pydock_unit gateways {{ "{bridge}" comment "net" : 10.1.2.1 }}\n'
        'add element ip pydock_unit outbound { 10.1.2.0/24 comment "net" }\n'
    )


def test_an_internal_network_is_not_masqueraded() -> None:
    config = tools.network("unit", "net", "10.1.2.0/24", internal=True)
    sets = {element.set for element in ruleset.network_elements(config)}
    assert "internal" in sets
    assert "outbound" not in sets


def test_a_network_without_masquerade_stays_reachable() -> None:
    config = tools.network("unit", "net", "10.1.2.0/24", masquerade=False)
    sets = {element.set for element in ruleset.network_elements(config)}
    assert sets == {"bridges", "same_bridge", "subnets", "gateways"}


def test_elements_of_ports() -> None:
    ports = (tools.publish(8080), tools.publish(53, 5353, host_ip="127.0.0.1", protocol="udp"))
    config = tools.endpoint("unit", "web", 7, NETWORK, ports=ports)
    elements = ruleset.port_elements(config)
    assert ruleset.add_text("pydock_unit", elements) == (
        'add element ip pydock_unit published { 6 . 8080 comment "web" : 10.1.2.7 . 80 }\n'
        'add element ip pydock_unit published_at { 127.0.0.1 . 17 . 53 comment "web" : 10.1.2.7 . 5353 }\n'
    )
    assert ruleset.delete_text("pydock_unit", elements) == (
        "delete element ip pydock_unit published { 6 . 8080 }\n"
        "delete element ip pydock_unit published_at { 127.0.0.1 . 17 . 53 }\n"
    )
    assert [ruleset.published_port(element) for element in elements] == list(ports)
    assert {ruleset.target_address(element) for element in elements} == {"10.1.2.7"}


def test_ports_lead_to_the_first_interface_that_is_not_internal() -> None:
    inner = tools.network("unit", "inner", "10.1.3.0/24", internal=True)
    (element,) = ruleset.port_elements(tools.endpoint("unit", "web", 7, inner, NETWORK, ports=(tools.publish(80),)))
    assert ruleset.target_address(element) == "10.1.2.7"
    (element,) = ruleset.port_elements(tools.endpoint("unit", "web", 7, inner, ports=(tools.publish(80),)))
    assert ruleset.target_address(element) == "10.1.3.7"
    assert ruleset.port_elements(tools.endpoint("unit", "web", 7, ports=(tools.publish(80),))) == []


def test_parse_reads_elements_rules_and_definitions() -> None:
    rule = {"family": "ip", "table": "t", "chain": "c", "handle": 4}
    listing = ruleset.parse(
        json.dumps(
            {
                "nftables": [
                    {"metainfo": {"version": "1.0.6"}},
                    {"table": {"family": "ip", "name": "t", "handle": 1}},
                    {"set": {"name": "plain", "handle": 2, "elem": ["a", {"elem": {"val": "b", "comment": "me"}}]}},
                    {"set": {"name": "spans", "elem": [{"prefix": {"addr": "10.0.0.0", "len": 8}}]}},
                    {"set": {"name": "ranges", "elem": [{"range": ["10.0.0.1", "10.0.0.5"]}]}},
                    {
                        "map": {
                            "name": "published",
                            "elem": [
                                [
                                    {"elem": {"val": {"concat": ["tcp", 80]}, "comment": "web"}},
                                    {"concat": ["10.0.0.2", 8080]},
                                ]
                            ],
                        }
                    },
                    {"rule": rule | {"expr": [{"counter": {"packets": 5, "bytes": 9}}, {"drop": None}]}},
                ]
            }
        )
    )
    assert listing.version == "1.0.6"
    assert listing.definitions["table", "t"] == {"family": "ip", "name": "t"}
    assert listing.definitions["set", "plain"] == {"name": "plain"}
    assert listing.rules == {"c": [[{"drop": None}]]}
    assert set(listing.elements.values()) == {
        Element("plain", "a", "", ""),
        Element("plain", "b", "", "me"),
        Element("spans", "10.0.0.0/8", "", ""),
        Element("ranges", "10.0.0.1-10.0.0.5", "", ""),
        Element("published", "6 . 80", "10.0.0.2 . 8080", "web"),
    }


def test_clash() -> None:
    everywhere = Element("published", "6 . 80", "10.0.0.2 . 80", "one")
    here = Element("published_at", "127.0.0.1 . 6 . 80", "10.0.0.2 . 80", "one")
    there = Element("published_at", "127.0.0.2 . 6 . 80", "10.0.0.2 . 80", "one")
    datagrams = Element("published_at", "127.0.0.1 . 17 . 80", "10.0.0.2 . 80", "one")
    assert ruleset.clash(everywhere, here)
    assert ruleset.clash(here, everywhere)
    assert ruleset.clash(here, here)
    assert not ruleset.clash(here, there)
    assert not ruleset.clash(everywhere, datagrams)
    assert not ruleset.clash(everywhere, Element("bridges", "6 . 80", "", "one"))


def test_every_set_that_rules_name_exists() -> None:
    text = ruleset.table_text("pydock_unit")
    named = {word.strip("@,;") for word in text.split() if word.startswith("@")}
    assert named == set(ruleset.NETWORK_SETS + ruleset.PORT_SETS)
