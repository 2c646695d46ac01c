"""A daemon that comes and goes changes nothing: neither rules nor links nor processes, and no packet is lost."""

from __future__ import annotations

import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable

import msgspec

from reconciler.testing import faults, images, leaks_network, wait
from reconciler.testing.daemon import Pydockd

RESTARTS = 100
#: offset and format of tcpi_total_retrans in struct tcp_info (include/uapi/linux/tcp.h)
TOTAL_RETRANSMITS = (100, "=I")


class Client(threading.Thread):
    """Talks to a published port over one connection, all the time. ``slowest`` is its longest wait for an answer,
    seconds."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._connection = socket.create_connection(("127.0.0.1", port), timeout=5)
        self._ending = threading.Event()
        self.asked = self.answered = 0
        self.slowest = 0.0

    def run(self) -> None:
        while not self._ending.wait(0.002):
            word = b"%08d\n" % self.asked
            began = time.monotonic()
            self.asked += 1
            self._connection.sendall(word)
            assert self._connection.recv(len(word), socket.MSG_WAITALL) == word
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.answered += 1

    def retransmits(self) -> int:
        """Segments that had to be sent again, because they or their answers were lost."""
        offset, form = TOTAL_RETRANSMITS
        known = self._connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        return int(struct.unpack_from(form, known, offset)[0])

    def end(self) -> None:
        self._ending.set()
        self.join()
        self._connection.close()


def network() -> list[str]:
    return [*leaks_network.links(), *leaks_network.addresses(), *leaks_network.routes()]


def test_restarts_change_nothing_and_lose_no_packet(make_host: Callable[..., Pydockd], image: str) -> None:
    host = make_host().start()
    subject = faults.Subject(host, image, "web", images.free_port())
    host.apply(subject.manifest())
    faults.until(host, subject.runs_once, 20, "the container to run")
    status, pids = host.status("web"), subject.processes()
    rules, before = leaks_network.firewall(), network()
    client = Client(subject.port)
    client.start()
    try:
        for number in range(RESTARTS):
            if number % 2:
                host.kill()
            else:
                assert host.stop() == 0
            host.start()
            wait.until(lambda: host.status("web") == status, 10, f"the same status after restart {number}")
            assert leaks_network.firewall() == rules, f"restart {number}"
        assert network() == before
        assert client.is_alive()
        assert client.retransmits() == 0
    finally:
        client.end()
    assert client.asked == client.answered > RESTARTS
    assert subject.processes() == pids


def test_a_container_made_while_no_daemon_was_there_is_not_missed(
    make_host: Callable[..., Pydockd], image: str
) -> None:
    host = make_host().start()
    assert host.cli("pull", image).returncode == 0
    assert host.stop() == 0
    subject = faults.Subject(host, image, "web", images.free_port())
    (host.manifests / "web.json").write_bytes(msgspec.json.encode(subject.manifest()))
    host.start()
    faults.until(host, subject.runs_once, 20, "the container to run")
    assert host.stop() == 0
    subprocess.run(["kill", "-9", str(subject.processes()[0])], check=True)
    host.start()
    faults.until(host, subject.runs_once, 20, "the container to run again")
