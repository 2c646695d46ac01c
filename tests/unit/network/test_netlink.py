"""Netlink's encoding."""

from __future__ import annotations

import contextlib
import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.drivers.network import links, netlink


@given(st.dictionaries(st.integers(1, 0x3FFF), st.binary(max_size=40), max_size=10), st.integers(0, 8))
def test_attributes_read_back_as_written(values: dict[int, bytes], offset: int) -> None:
    data = bytes(offset) + b"".join(netlink.attribute(kind, payload) for kind, payload in values.items())
    found = netlink.attributes(memoryview(data), offset)
    assert {kind: bytes(payload) for kind, payload in found.items()} == values


@given(st.binary(max_size=200))
def test_garbage_ends(data: bytes) -> None:
    netlink.attributes(memoryview(data))


def test_nested_flag_is_not_part_of_the_type() -> None:
    data = netlink.nested(5, netlink.u8(1, 7), netlink.text(2, "eth0"))
    inner = netlink.attributes(netlink.attributes(memoryview(data))[5])
    assert netlink.integer(inner[1]) == 7
    assert netlink.string(inner[2]) == "eth0"
    assert netlink.string(None) == ""
    assert netlink.integer(None) == 0


def test_padding() -> None:
    assert len(netlink.text(3, "lo")) % 4 == 0
    assert netlink.u8(1, 255)[:2] == (5).to_bytes(2, "little")


@pytest.fixture
def route() -> contextlib.closing[netlink.Socket]:
    return contextlib.closing(netlink.Socket(netlink.NETLINK_ROUTE))


def test_a_batch_reports_each_messages_error(route: contextlib.closing[netlink.Socket]) -> None:
    with route as socket:
        missing, here = links.set_link("nothing0", up=True), links.set_link("lo", up=True)
        first, second, third = socket.attempt([missing, here, links.delete_link("nothing0")])
        assert first is not None
        assert first.errno == errno.ENODEV
        assert second is None
        assert third is not None
        with pytest.raises(OSError, match="No such device"):
            socket.change([here, missing])
        socket.change([links.delete_link("nothing0")])


def test_the_kernels_own_words_are_kept(route: contextlib.closing[netlink.Socket]) -> None:
    with route as socket:
        with pytest.raises(OSError, match=r"Device does not exist|Unknown device|Invalid|No such device"):
            socket.change([links.add_address(99999, "10.0.0.1", 24)])


def test_get_and_dump_agree(route: contextlib.closing[netlink.Socket]) -> None:
    with route as socket:
        one, none = socket.get([links.get_link("lo"), links.get_link("nothing0")])
        assert none is None
        found = links.link(one)
        assert found is not None
        assert (found.name, found.mtu) == ("lo", 65536)
        assert found in [links.link(reply) for reply in socket.dump(links.all_links())]


def test_many_questions_in_one_call(route: contextlib.closing[netlink.Socket]) -> None:
    with route as socket:
        answers = socket.get([links.get_link("lo")] * 100)
    assert len(answers) == 100
    assert {link.name for link in map(links.link, answers) if link} == {"lo"}


def test_a_listening_socket_never_blocks() -> None:
    with contextlib.closing(netlink.Socket(netlink.NETLINK_ROUTE, links.EVENT_GROUPS)) as listening:
        listening.drain()
        assert not os.get_blocking(listening.fileno())
