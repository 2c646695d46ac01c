"""What an endpoint lacks, from what was seen of it."""

from __future__ import annotations

from reconciler.drivers.network import inside, links
from reconciler.drivers.network.inside import Inside
from reconciler.drivers.network.links import Address, Link, Route
from reconciler.testing import network_tools as tools

INNER = tools.network("unit", "inner", "10.1.1.0/24", internal=True)
OUTER = tools.network("unit", "outer", "10.1.2.0/24")
CONFIG = tools.endpoint("unit", "web", 7, INNER, OUTER)


def link(name: str, ifindex: int, up: bool = True, mac: str = "") -> Link:
    return Link(ifindex, name, "veth", "", up, 1500, mac, 0, 100 + ifindex, hairpin=False)


SOUND = Inside(
    links={
        "lo": link("lo", 1),
        "eth0": link("eth0", 2, mac=CONFIG.interfaces[0].mac),
        "eth1": link("eth1", 3, mac=CONFIG.interfaces[1].mac),
    },
    addresses=[Address(1, "127.0.0.1", 8), Address(2, "10.1.1.7", 24), Address(3, "10.1.2.7", 24)],
    routes=[Route("10.1.1.0", 24, "", 2), Route("10.1.2.0", 24, "", 3), Route("0.0.0.0", 0, "10.1.2.1", 3)],
)


def test_sound_needs_nothing() -> None:
    assert inside.repairs(CONFIG, SOUND) == []
    assert inside.addresses_sound(CONFIG, SOUND)
    assert inside.routes_sound(CONFIG, SOUND)


def test_what_a_container_has_besides_is_its_own() -> None:
    extra = SOUND._replace(
        addresses=[*SOUND.addresses, Address(3, "10.9.9.9", 32)], routes=[*SOUND.routes, Route("10.9.0.0", 16, "", 3)]
    )
    assert inside.repairs(CONFIG, extra) == []


def test_way_out_is_the_first_that_is_not_internal() -> None:
    assert inside.way_out(CONFIG) == CONFIG.interfaces[1]
    assert inside.way_out(tools.endpoint("unit", "web", 7, INNER)) is None


def test_each_lack_has_its_own_remedy() -> None:
    first, second = CONFIG.interfaces
    assert inside.repairs(CONFIG, SOUND._replace(addresses=SOUND.addresses[:2])) == [
        links.add_address(3, second.address, 24)
    ]
    assert inside.repairs(CONFIG, SOUND._replace(routes=SOUND.routes[1:])) == [
        links.add_direct_route(2, "10.1.1.0", 24, first.address)
    ]
    assert inside.repairs(CONFIG, SOUND._replace(routes=SOUND.routes[:2])) == [
        links.add_default_route(3, second.gateway)
    ]
    down = SOUND._replace(links=SOUND.links | {"lo": link("lo", 1, up=False)})
    assert inside.repairs(CONFIG, down) == [links.set_link("lo", up=True)]


def test_a_link_that_was_down_gets_its_routes_again() -> None:
    mac = CONFIG.interfaces[1].mac
    down = SOUND._replace(links=SOUND.links | {"eth1": link("eth1", 3, up=False, mac=mac)})
    assert inside.repairs(CONFIG, down) == [
        links.set_link("eth1", mac=mac, mtu=1500, up=True),
        links.add_direct_route(3, "10.1.2.0", 24, "10.1.2.7"),
        links.add_default_route(3, "10.1.2.1"),
    ]


def test_missing_link_is_unsound_everywhere() -> None:
    gone = SOUND._replace(links={"lo": SOUND.links["lo"]})
    assert not inside.addresses_sound(CONFIG, gone)
    assert not inside.routes_sound(CONFIG, gone)


def test_pairs() -> None:
    outer = Link(102, "pdv", "veth", "", True, 1500, "", 9, 2, hairpin=True)
    assert inside.paired(outer, SOUND.links["eth0"])
    assert not inside.paired(outer, SOUND.links["eth1"])
    assert not inside.paired(outer._replace(peer=5), SOUND.links["eth0"])
    assert not inside.paired(outer._replace(kind="dummy"), SOUND.links["eth0"])
    assert not inside.paired(None, SOUND.links["eth0"])
