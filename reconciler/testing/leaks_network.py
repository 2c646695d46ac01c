"""What is in this network namespace: links, addresses, routes, firewall, sysctls.

Asked of ``ip`` and ``nft``, which share no code with the drivers.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

#: of a link, what says which one it is and how it is set; not its index, counters or operational state
_LINK = ("ifname", "ifalias", "address", "mtu", "master", "link", "group")
#: of an address, not its lifetime
_ADDRESS = ("local", "prefixlen", "broadcast", "scope", "label")
#: of a route, not ``flags``: a carrier comes and goes
_ROUTE = ("type", "dst", "gateway", "dev", "table", "protocol", "scope", "prefsrc", "metric")
#: these count, they do not set
_COUNTERS = frozenset({"nf_conntrack_count"})


def links() -> list[str]:
    """Every link: its name, alias, kind, address and what it hangs on."""
    return [_line(link, _LINK, link.get("linkinfo", {}).get("info_kind", "")) for link in _ip("-d", "link")]


def addresses() -> list[str]:
    """Every address with its link."""
    return [
        _line(address, _ADDRESS, link["ifname"])
        for link in _ip("address")
        for address in link["addr_info"]
        if not address.get("temporary")
    ]


def routes() -> list[str]:
    """Routes of all tables and the rules that choose among these."""
    lines: list[str] = []
    for family in ("-4", "-6"):
        lines += [_line(route, _ROUTE, family) for route in _ip(family, "route", "show", "table", "all")]
        lines += [f"{family} rule {json.dumps(rule, sort_keys=True)}" for rule in _ip(family, "rule")]
    return lines


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


def _line(found: dict[str, Any], fields: tuple[str, ...], first: str) -> str:
    return " ".join([first, *(f"{field}={found[field]}" for field in fields if field in found)])


def _ip(*arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(_output("ip", "-j", *arguments) or "[]")
    # a link that ends while it is listed leaves an empty object
    return [item for item in found if item]


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
