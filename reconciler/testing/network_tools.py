"""Tools for tests of networks on a real kernel: sockets inside namespaces, servers, a neighbour on the wire.

A socket belongs to the namespace it was made in, so only its making needs a thread there; everything else happens
where the test runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from reconciler.drivers.network import system
from reconciler.drivers.network.base import EndpointConfig, Interface, NetworkConfig, PublishedPort
from reconciler.model import names
from reconciler.testing import runs, wait

#: how long something that must arrive may take, and how long is waited for what must not
ARRIVES, NEVER = 5.0, 0.4


def run(*command: str) -> str:
    """Runs a command; returns what it wrote. A failure shows what it said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def new_instance() -> str:
    """An instance name of its own for a test."""
    return runs.instance()


def network(instance: str, uid: str, subnet: str, **fields: Any) -> NetworkConfig:
    """A network with the first host address as its gateway."""
    gateway = subnet.rsplit(".", 1)[0] + ".1"
    return NetworkConfig(uid, names.bridge(instance, uid), subnet, gateway, **fields)


def endpoint(
    instance: str, uid: str, host: int, *networks: NetworkConfig, ports: tuple[PublishedPort, ...] = ()
) -> EndpointConfig:
    """An endpoint with address ``host`` (the last number) in each network."""
    interfaces = []
    for index, config in enumerate(networks):
        address = config.subnet.rsplit(".", 1)[0] + f".{host}"
        prefix = int(config.subnet.split("/")[1])
        interfaces.append(
            Interface(
                network_uid=config.uid,
                bridge=config.bridge,
                name=f"eth{index}",
                host_name=names.host_interface(instance, uid, index),
                address=address,
                prefix=prefix,
                gateway=config.gateway,
                mac=names.mac(address),
                mtu=config.mtu,
                internal=config.internal,
            )
        )
    return EndpointConfig(uid, tuple(interfaces), ports)


def with_ports(config: EndpointConfig, *ports: PublishedPort) -> EndpointConfig:
    return msgspec.structs.replace(config, ports=ports)


def publish(host_port: int, container_port: int = 80, host_ip: str = "0.0.0.0", protocol: str = "tcp") -> PublishedPort:
    return PublishedPort(host_ip, host_port, container_port, protocol)


def socket_in(namespace: str | None, kind: int = socket.SOCK_STREAM, family: int = socket.AF_INET) -> socket.socket:
    """A socket of the namespace at a path (None: of this thread's), with a timeout."""

    def make() -> socket.socket:
        if namespace is not None:
            descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
            try:
                system.enter_network(descriptor)
            finally:
                os.close(descriptor)
        made = socket.socket(family, kind)
        made.settimeout(ARRIVES)
        return made

    return system.in_thread(make)


class Server:
    """Answers every line (TCP) or datagram (UDP) with its name, the peer's address as it sees it, and the text."""

    def __init__(self, namespace: str | None, port: int, name: str = "server", udp: bool = False, ip: str = "") -> None:
        self._name = name
        self._udp = udp
        self._socket = socket_in(namespace, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((ip, port))
        self._socket.settimeout(None)
        self._threads = [threading.Thread(target=self._datagrams if udp else self._accept)]
        self._peers: list[socket.socket] = []
        self._lock = threading.Lock()
        self.received = 0
        if not udp:
            self._socket.listen()
        self._threads[0].start()

    def _answer(self, peer: str, text: bytes) -> bytes:
        self.received += 1
        return f"{self._name} {peer} {text.decode()}".encode()

    def _datagrams(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                text, peer = self._socket.recvfrom(2048)
                if text == b"":
                    return
                self._socket.sendto(self._answer(peer[0], text), peer)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, address = self._socket.accept()
                talk = threading.Thread(target=self._talk, args=(peer, address[0]))
                with self._lock:
                    self._peers.append(peer)
                    self._threads.append(talk)
                talk.start()

    def _talk(self, peer: socket.socket, address: str) -> None:
        with contextlib.suppress(OSError):
            while text := peer.recv(2048):
                peer.sendall(self._answer(address, text))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        if not self._udp:
            # nobody is accepted any more: the lists are whole
            self._threads[0].join(ARRIVES)
        with self._lock:
            peers, threads = list(self._peers), list(self._threads)
        for peer in peers:
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(ARRIVES)
        for peer in peers:
            peer.close()
        self._socket.close()


@contextlib.contextmanager
def serving(
    namespace: str | None, port: int, name: str = "server", udp: bool = False, ip: str = ""
) -> Iterator[Server]:
    server = Server(namespace, port, name, udp, ip)
    try:
        yield server
    finally:
        server.close()


class Conversation:
    """An open TCP connection to a ``Server``."""

    def __init__(self, namespace: str | None, address: str, port: int) -> None:
        self._socket = socket_in(namespace)
        try:
            self._socket.connect((address, port))
        except BaseException:
            self._socket.close()
            raise

    def say(self, text: str) -> str:
        """Sends, and returns the answer."""
        self._socket.sendall(text.encode())
        return self._socket.recv(2048).decode()

    def close(self) -> None:
        self._socket.close()


@contextlib.contextmanager
def conversation(namespace: str | None, address: str, port: int) -> Iterator[Conversation]:
    talk = Conversation(namespace, address, port)
    try:
        yield talk
    finally:
        talk.close()


def ask(namespace: str | None, address: str, port: int, text: str = "hello") -> str:
    """One question over a new TCP connection."""
    with conversation(namespace, address, port) as talk:
        return talk.say(text)


def ask_udp(namespace: str | None, address: str, port: int, text: str = "hello") -> str:
    with contextlib.closing(socket_in(namespace, socket.SOCK_DGRAM)) as asking:
        asking.sendto(text.encode(), (address, port))
        return asking.recv(2048).decode()


def unreachable(namespace: str | None, address: str, port: int) -> bool:
    """Whether a new TCP connection fails (refused, rejected, or no answer)."""
    with contextlib.closing(socket_in(namespace)) as trying:
        trying.settimeout(NEVER)
        try:
            trying.connect((address, port))
        except OSError:
            return True
    return False


class Neighbour(NamedTuple):
    """A namespace at the other end of a cable: the host is ``host``, it is ``address``; ``link`` is the host's end."""

    path: str
    link: str
    host: str
    address: str

    def command(self, *command: str) -> str:
        return run("nsenter", f"--net={self.path}", *command)


@contextlib.contextmanager
def neighbour(directory: Path, number: int = 1) -> Iterator[Neighbour]:
    """Another host on the wire, 203.0.113.0/28 and so on by ``number``; the network beyond it is 198.51.100.0/24."""
    path = directory / f"neighbour{number}"
    base = 16 * number
    made = Neighbour(str(path), f"wire{number}", f"203.0.113.{base + 1}", f"203.0.113.{base + 2}")

    def bind() -> None:
        system.unshare_network()
        path.touch()
        system.bind_mount("/proc/thread-self/ns/net", str(path))

    system.in_thread(bind)
    try:
        run("ip", "link", "add", made.link, "type", "veth", "peer", "name", "eth0", "netns", made.path)
        run("ip", "addr", "add", f"{made.host}/28", "dev", made.link)
        run("ip", "link", "set", made.link, "up")
        for command in (
            ["ip", "link", "set", "lo", "up"],
            ["ip", "addr", "add", f"{made.address}/28", "dev", "eth0"],
            ["ip", "addr", "add", f"198.51.100.{number}/32", "dev", "lo"],
            ["ip", "link", "set", "eth0", "up"],
        ):
            made.command(*command)
        run("ip", "route", "add", f"198.51.100.{number}/32", "via", made.address)
        yield made
    finally:
        run("ip", "link", "del", made.link)
        system.unmount(str(path))
        path.unlink()


class Wire(NamedTuple):
    """A link in a namespace on which packets are put as they are, whatever routing and the sender's kernel think of
    their addresses; ``to_mac`` is who takes them there."""

    namespace: str | None
    link: str
    to_mac: str

    def send_udp(self, source: str, destination: str, port: int, text: bytes = b"forged") -> None:
        self._send(source, destination, socket.IPPROTO_UDP, struct.pack("!HHHH", 40000, port, 8 + len(text), 0) + text)

    def send_syn_ack(self, source: str, destination: str, port: int) -> None:
        """An answer to a connection that nobody asked for."""
        segment = struct.pack("!HHIIBBHHH", 40000, port, 1, 1, 5 << 4, 0x12, 1024, 0, 0)
        pseudo = socket.inet_aton(source) + socket.inet_aton(destination) + struct.pack("!HH", 6, len(segment))
        checksum = struct.pack("!H", _checksum(pseudo + segment))
        self._send(source, destination, socket.IPPROTO_TCP, segment[:16] + checksum + segment[18:])

    def _send(self, source: str, destination: str, protocol: int, payload: bytes) -> None:
        addresses = socket.inet_aton(source) + socket.inet_aton(destination)
        header = struct.pack("!BBHHHBBH8s", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0, addresses)
        header = header[:10] + struct.pack("!H", _checksum(header)) + header[12:]
        ethernet = bytes.fromhex(self.to_mac.replace(":", "")) + b"\x02\x00\x00\x00\x00\x99" + b"\x08\x00"
        with contextlib.closing(socket_in(self.namespace, socket.SOCK_RAW, socket.AF_PACKET)) as wire:
            wire.bind((self.link, 0))
            wire.send(ethernet + header + payload)


@contextlib.contextmanager
def listening_to(namespace: str | None, link: str) -> Iterator[Callable[[], tuple[str, int]]]:
    """A function that waits for the next IPv4 packet on a link and returns its source and protocol."""
    with contextlib.closing(socket_in(namespace, socket.SOCK_RAW, socket.AF_PACKET)) as wire:
        wire.bind((link, 0x0800))

        def following() -> tuple[str, int]:
            frame = wire.recv(4096)
            return socket.inet_ntoa(frame[26:30]), frame[23]

        yield following


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def mac_of(link: str) -> str:
    """The MAC of a link in this thread's namespace."""
    return str(json.loads(run("ip", "-j", "link", "show", link))[0]["address"])


def host_state() -> dict[str, str]:
    """What a driver must leave as it found it: links, addresses, routes, rules, forwarding, mounts of namespaces."""
    return {
        "links": run("ip", "-o", "link", "show"),
        "addresses": run("ip", "-o", "-4", "addr", "show"),
        "routes": run("ip", "-4", "route", "show", "table", "all"),
        "rules": run("nft", "-s", "list", "ruleset"),
        "forwarding": Path("/proc/sys/net/ipv4/ip_forward").read_text(),
        "mounts": "\n".join(line for line in Path("/proc/self/mountinfo").read_text().splitlines() if "nsfs" in line),
    }


class Repeating:
    """Calls something again and again in a thread of its own."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self._stop = threading.Event()
        self._failure: list[BaseException] = []
        self._times = 0
        self._thread = threading.Thread(target=self._loop)
        self._thread.start()

    def _loop(self) -> None:
        while not self._stop.is_set():
            try:
                self._call()
            except BaseException as error:  # noqa: BLE001 - handed to the test's thread
                self._failure.append(error)
                return
            self._times += 1

    def wait_for(self, times: int) -> None:
        """Until it was called so often, or failed."""
        wait.until(lambda: self._failure or self._times >= times, what=f"{times} calls")

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        if self._failure:
            raise self._failure[0]


@contextlib.contextmanager
def repeatedly(call: Callable[[], object]) -> Iterator[Repeating]:
    repeating = Repeating(call)
    try:
        yield repeating
    finally:
        repeating.close()
