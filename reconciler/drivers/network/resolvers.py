"""What a container gets as /etc/resolv.conf: the host's settings, without servers that it cannot reach.

On many hosts /etc/resolv.conf names only a forwarder on the loopback (systemd-resolved on 127.0.0.53, dnsmasq on
127.0.0.1), which is another one inside a container. The servers that such a forwarder asks stand in files of its own.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from pathlib import Path

from reconciler.drivers.network.base import ResolvConf

#: the host's own file, then where systemd-resolved and NetworkManager name the servers behind theirs
FILES = (
    Path("/etc/resolv.conf"),
    Path("/run/systemd/resolve/resolv.conf"),
    Path("/run/NetworkManager/no-stub-resolv.conf"),
)
_MOST_BYTES = 65536
#: glibc and musl ask no more than that (MAXNS in resolv.h)
_MOST_SERVERS = 3


class _Settings:
    """One file: its servers as written, and its other lines (search, domain, options, sortlist)."""

    def __init__(self, text: str) -> None:
        self.servers: list[str] = []
        self.others: list[str] = []
        for line in text.splitlines():
            words = line.split()
            if not words or words[0][0] in "#;":
                continue
            if words[0] != "nameserver":
                self.others.append(" ".join(words))
            elif len(words) > 1:
                self.servers.append(words[1])

    def reachable(self) -> list[str]:
        return [server for server in self.servers if _is_reachable(server)][:_MOST_SERVERS]


def find(fallback: Sequence[str] = (), files: Sequence[Path] = FILES) -> ResolvConf:
    """The settings of the first of ``files`` that names a reachable server; else those of the first one with the
    servers of ``fallback``; else without a server, and a warning."""
    found = [_Settings(_read(path)) for path in files]
    for settings in found:
        if servers := settings.reachable():
            return _text(servers, settings.others or found[0].others)
    if fallback:
        return _text(list(fallback), found[0].others)
    return ResolvConf(_lines([], found[0].others), _warning(found[0].servers, files[0]))


def _text(servers: list[str], others: list[str]) -> ResolvConf:
    return ResolvConf(_lines(servers, others))


def _lines(servers: list[str], others: list[str]) -> str:
    return "".join(f"{line}\n" for line in (*(f"nameserver {server}" for server in servers), *others))


def _warning(servers: list[str], path: Path) -> str:
    named = f"names only {', '.join(servers)}" if servers else "names no server"
    return (
        f"containers have no name server: {path} {named}, and container networks reach only IPv4 servers that are not "
        'on the host\'s loopback. Name some in pydockd.toml, such as dns = ["192.0.2.53"]'
    )


def _is_reachable(server: str) -> bool:
    """Networks have IPv4 only so far."""
    try:
        address = ipaddress.IPv4Address(server)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified)


def _read(path: Path) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(_MOST_BYTES)
    except OSError:
        return ""
