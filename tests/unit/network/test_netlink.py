"""Netlink sockets: batches, answers, errors."""

from __future__ import annotations

import contextlib
import errno
import os

import pytest

from reconciler.drivers.network import links, netlink


@pytest.fixture
def route() -> contextlib.closing[netlink.Socket]:
    return contextlib.closing(netlink.Socket(netlink.ROUTE))


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
    with contextlib.closing(netlink.Socket(netlink.ROUTE, links.EVENT_GROUPS)) as listening:
        listening.drain()
        assert not os.get_blocking(listening.fileno())
