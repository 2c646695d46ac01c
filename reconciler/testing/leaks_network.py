"""What is in this network namespace: links, addresses, routes, firewall, sysctls.

Asked of pyroute2's own sockets and of ``nft``, which share with the drivers no more than pyroute2's declarations.
"""

from __future__ import annotations

import operator
import socket
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyroute2
from pyroute2.netlink import NLM_F_DUMP_INTR
from pyroute2.netlink.rtnl import rt_type
from pyroute2.netlink.rtnl.ifaddrmsg import IFA_F_TEMPORARY

#: of a link, what says which one it is and how it is set; not its index, counters or operational state
_LINK = ("ifname", "ifalias", "address", "mtu", "group")
#: of an address, not its lifetime
_ADDRESS = ("local", "prefixlen", "address", "broadcast", "scope", "label")
#: of a route, not ``flags``: a carrier comes and goes
_ROUTE = ("gateway", "table", "proto", "scope", "prefsrc", "priority")
#: of a rule, all that chooses
_RULE = ("action", "src", "src_len", "dst", "dst_len", "iifname", "oifname", "fwmark", "table", "priority")
_FAMILIES = {"-4": socket.AF_INET, "-6": socket.AF_INET6}
#: these count, they do not set
_COUNTERS = frozenset({"nf_conntrack_count"})


def links() -> list[str]:
    """Every link: its name, alias, kind, address and what it hangs on."""
    found = _asked(lambda route: route.get_links())
    names = {link["index"]: link.get("ifname") for link in found}
    return [
        _line(
            link.get(("linkinfo", "kind"), ""),
            link,
            _LINK,
            master=names.get(link.get("master")),
            # a number alone tells nothing: it may be that of a link in another namespace
            peer=names.get(link.get("link")) if link.get("link_netnsid") is None else None,
        )
        for link in found
    ]


def addresses() -> list[str]:
    """Every address with its link."""
    names = _names()
    found = _asked(lambda route: route.get_addr())
    # of IPv6 those that the kernel changes by itself; of IPv4 the same bit means a second address
    lasting = [each for each in found if each["family"] == socket.AF_INET or not each["flags"] & IFA_F_TEMPORARY]
    return [_line(names.get(each["index"], ""), each, _ADDRESS) for each in lasting]


def routes() -> list[str]:
    """Routes of all tables and the rules that choose among these."""
    lines: list[str] = []
    names = _names()
    for words, family in _FAMILIES.items():
        found = _asked(operator.methodcaller("get_routes", family=family))
        rules = _asked(operator.methodcaller("get_rules", family=family))
        lines += [_route(words, each, names) for each in found]
        lines += [_line(f"{words} rule", each, _RULE) for each in rules]
    return lines


def _asked(question: Callable[[pyroute2.IPRoute], Iterable[Any]]) -> list[Any]:
    """The answers; asked again when something changed while the kernel gave them, which IPRoute does not look at."""
    while True:
        with pyroute2.IPRoute() as route:
            found = list(question(route))
        if not any(each["header"]["flags"] & NLM_F_DUMP_INTR for each in found):
            return found


def _route(words: str, route: Any, names: dict[int, str]) -> str:
    where = f"{route.get('dst')}/{route['dst_len']}" if route.get("dst") else "default"
    return _line(f"{words} type={rt_type[route['type']]} dst={where}", route, _ROUTE, dev=names.get(route.get("oif")))


def _names() -> dict[int, str]:
    return {link["index"]: link.get("ifname") for link in _asked(lambda route: route.get_links())}


def firewall() -> list[str]:
    """Each rule, element and set of the nftables ruleset with the table and chain it stands in, counters apart."""
    where: list[str] = []
    lines: list[str] = []
    for raw in _output("nft", "-s", "list", "ruleset").splitlines():
        line = raw.strip()
        if line.endswith("{"):
            where.append(line.rstrip("{ "))
            lines.append(" / ".join(where))
        elif line == "}":
            where.pop()
        elif line:
            lines.append(" / ".join([*where, line]))
    return lines


def settings() -> list[str]:
    """Every readable sysctl below ``net`` with its value."""
    lines: list[str] = []
    for path in sorted(Path("/proc/sys/net").rglob("*")):
        if path.name not in _COUNTERS and path.is_file():
            lines += _setting(path)
    return lines


def _setting(path: Path) -> list[str]:
    try:
        value = " ".join(path.read_text().split())
    except OSError:
        # some can only be written, and those of a link go with it
        return []
    return [f"{path.relative_to('/proc/sys')} = {value}"]


def _line(first: str, found: Any, fields: Iterable[str], **more: object) -> str:
    """Those of the fields that are there."""
    shown = {field: found.get(field) for field in fields} | more
    return " ".join([first, *(f"{field}={value}" for field, value in shown.items() if value is not None)])


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
