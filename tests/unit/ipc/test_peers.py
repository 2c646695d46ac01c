"""Who is at the other end of a client's socket: what the kernel says, about sockets that were accepted at our path."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.ipc import peers
from reconciler.model.callers import Caller

#: a client that is user 1000 and group 1001, beside the socket
OTHER = """
import os, socket
os.setresgid(1001, 1001, 1001)
os.setresuid(1000, 1000, 1000)
client = socket.socket(socket.AF_UNIX)
client.connect("api.sock")
client.recv(1)
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "api.sock")


@pytest.fixture
def listener(path: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path)
        os.chmod(path, 0o666)
        os.chmod(os.path.dirname(path), 0o755)
        made.listen()
        made.settimeout(20)
        yield made


@pytest.fixture
def accepted(path: str, listener: socket.socket) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        with listener.accept()[0] as found:
            yield found


def test_a_client_is_who_the_kernel_says(path: str, accepted: socket.socket) -> None:
    assert peers.caller_of(accepted.fileno(), [path]) == Caller(os.geteuid(), os.getegid(), os.getpid())
    os.fstat(accepted.fileno())


def test_a_client_of_another_user(path: str, listener: socket.socket) -> None:
    with subprocess.Popen([sys.executable, "-c", OTHER], cwd=os.path.dirname(path)) as client:
        with listener.accept()[0] as found:
            assert peers.caller_of(found.fileno(), [path]) == Caller(1000, 1001, client.pid)
        assert client.wait(10) == 0


def test_a_socket_accepted_elsewhere_proves_nothing(accepted: socket.socket) -> None:
    assert peers.caller_of(accepted.fileno(), ["/run/pydock/pydock.sock"]) is None
    assert peers.caller_of(accepted.fileno(), []) is None


def test_a_socket_that_was_connected_to_a_server_bears_the_servers_identity_and_is_refused(
    path: str, tmp_path: Path, listener: socket.socket
) -> None:
    """Bound to our own name (in a root of its own, a process could), and connected to a server of root's."""
    other = str(tmp_path / "other.sock")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as forged:
        server.bind(other)
        server.listen()
        os.rename(path, f"{path}.moved")
        forged.bind(path)
        forged.connect(other)
        assert forged.getsockname() == path
        assert peers.caller_of(forged.fileno(), [path]) is None


def test_a_pair_a_pipe_and_a_closed_number_are_nobody(path: str) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    reader, writer = os.pipe()
    with ours, theirs:
        assert peers.caller_of(ours.fileno(), [path]) is None
    assert peers.caller_of(reader, [path]) is None
    os.close(reader)
    os.close(writer)
    assert peers.caller_of(reader, [path]) is None
