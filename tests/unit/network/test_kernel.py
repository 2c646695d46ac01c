"""A kernel that lacks something: the module and the remedy are named."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from reconciler import errors
from reconciler.drivers.network import driver, netlink, nft, probe
from reconciler.drivers.network.firewall import Firewall


def refuse(monkeypatch: pytest.MonkeyPatch, protocol: int) -> None:
    real = socket.socket

    def make(family: int, kind: int, number: int) -> socket.socket:
        if number == protocol:
            raise OSError(errno.EPROTONOSUPPORT, os.strerror(errno.EPROTONOSUPPORT))
        return real(family, kind, number)

    monkeypatch.setattr(netlink.socket, "socket", make)


def test_without_nfnetlink_the_driver_says_what_to_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, netlink.NETFILTER)
    with pytest.raises(errors.Permanent) as caught:
        driver.open_driver("test", tmp_path)
    assert "modprobe nfnetlink" in caught.value.message
    assert "/etc/modules-load.d/pydock.conf" in caught.value.message
    assert "Errno" not in caught.value.message


def tried() -> None:
    with contextlib.closing(Firewall("pydock_test")) as firewall:
        probe.run(firewall)


@pytest.mark.parametrize(("kind", "module"), [("bridge", "bridge"), ("veth", "veth")])
def test_without_a_kind_of_link(kind: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = netlink.Socket.change

    def change(self: netlink.Socket, messages: Sequence[netlink.Message]) -> None:
        if any(kind.encode() in message.body for message in messages[:1]):
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")
        real(self, messages)

    monkeypatch.setattr(netlink.Socket, "change", change)
    with pytest.raises(errors.Permanent, match=f"modprobe {module}'"):
        tried()


def test_without_nftables(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(self: Any) -> str:
        raise nft.NftError("internal:0:0-0: Error: cache initialization failed: Protocol not supported\nmore")

    monkeypatch.setattr(Firewall, "version", version)
    with pytest.raises(errors.Permanent, match=r"modprobe -a nf_tables nft_chain_nat .* says: .*not supported\)"):
        tried()


def test_a_bridge_that_is_full_is_explained() -> None:
    @driver._kernel_errors
    def ensure_endpoint() -> None:
        raise OSError(errno.EXFULL, os.strerror(errno.EXFULL))

    with pytest.raises(errors.Temporary, match=r"1023 containers, the most that the kernel .* into another network"):
        ensure_endpoint()
