"""sd_notify: one datagram, to a path or an abstract name; without systemd nothing."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from reconciler.control import notify


@pytest.mark.parametrize("abstract", [False, True])
def test_one_datagram(tmp_path: Path, abstract: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"pydock-test-{os.urandom(4).hex()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.settimeout(5)
        listener.bind(f"\0{name}" if abstract else f"{tmp_path}/{name}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}" if abstract else f"{tmp_path}/{name}")
        notify.notify("READY=1\nSTATUS=well")
        assert listener.recv(4096) == b"READY=1\nSTATUS=well"


def test_nobody_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify.notify("READY=1")
    notify.notify("READY=1", f"{tmp_path}/nothing")
