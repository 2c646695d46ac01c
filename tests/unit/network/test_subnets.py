"""Free subnets."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import errors
from reconciler.drivers.network import subnets

Network = ipaddress.IPv4Network


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(8, 32)), max_size=30), st.text(max_size=5))
def test_never_overlaps_what_is_taken(taken: list[tuple[int, int]], seed: str) -> None:
    networks = [Network((number, prefix), strict=False) for number, prefix in taken]
    try:
        found = subnets.free(seed, networks)
    except errors.Permanent:
        assert any(network.overlaps(Network("192.168.0.0/16")) for network in networks)
        return
    assert Network(found).prefixlen == 24
    assert subnets.overlap(found, networks) is None


def test_equal_input_equal_answer_and_seeds_differ() -> None:
    assert subnets.free("one", ()) == subnets.free("one", ())
    assert subnets.free("one", ()) != subnets.free("two", ())


def test_the_whole_pool_is_searched() -> None:
    left = Network("10.211.7.0/24")
    taken = [*Network("10.208.0.0/12").address_exclude(left)]
    assert subnets.free("anything", taken) == str(left)


def test_halves_of_the_default_route_are_ignored() -> None:
    assert subnets.free("one", [Network("0.0.0.0/1"), Network("128.0.0.0/1")]) == subnets.free("one", ())


def test_next_pool_when_one_is_full() -> None:
    assert subnets.free("one", [Network("10.0.0.0/8")]).startswith("192.168.")


def test_nothing_free() -> None:
    taken = [Network("10.0.0.0/8"), Network("172.16.0.0/12"), Network("192.168.0.0/16")]
    with pytest.raises(errors.Permanent, match="subnet of its own"):
        subnets.free("one", taken)


def test_overlap_names_what_is_in_the_way() -> None:
    others = [Network("10.0.0.0/24"), Network("10.0.2.0/23")]
    assert subnets.overlap("10.0.3.0/24", others) == Network("10.0.2.0/23")
    assert subnets.overlap("10.0.1.0/24", others) is None


def test_a_large_one_is_a_16_or_what_is_left() -> None:
    assert subnets.free("one", (), large=True).endswith("/16")
    assert subnets.free("one", (), large=True) != subnets.free("two", (), large=True)
    # a /24 in each /16 of the pool, as networks of their own leave it
    taken = [Network((int(net.network_address), 24)) for net in Network("10.208.0.0/12").subnets(new_prefix=16)]
    found = subnets.free("one", taken, large=True)
    assert found.endswith("/18")
    assert subnets.overlap(found, taken) is None
    assert subnets.free("one", [Network("10.0.0.0/8")], large=True).endswith("/24")


@given(st.lists(st.tuples(st.integers(0, 2**20 - 1), st.integers(12, 32)), max_size=30))
def test_a_large_one_never_overlaps_what_is_taken(taken: list[tuple[int, int]]) -> None:
    networks = [Network(((10 << 24) + (208 << 16) + number, prefix), strict=False) for number, prefix in taken]
    found = subnets.free("seed", networks, large=True)
    assert subnets.overlap(found, networks) is None
