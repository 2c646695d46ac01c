"""Which hosts may be talked to, and how. Pure.

A registry on this host may use plain HTTP, and may send us to places on this host. Another may use plain HTTP if it is
configured so, and send us to places without TLS then. None from elsewhere may send us to places on this host: a
redirect or a token realm that points to loopback, link-local and other special addresses would let a stranger use what
listens there.
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from reconciler import errors

#: where the registry of Docker's own images is served
_SERVED_AT = {"docker.io": "registry-1.docker.io"}
#: where it is searched
SEARCHED_AT = {"docker.io": "index.docker.io"}
_PORTS = {"http": 80, "https": 443}
_ADVICE = '; if that is meant, say so: plain_http = true in its [registry."HOST"] of pydockd.toml'
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")


class Origin(NamedTuple):
    """Scheme, host (without brackets) and port: credentials are shown to one origin only."""

    scheme: str
    host: str
    port: int


def is_loopback(host: str) -> bool:
    """Whether a host as written (no port, no brackets) means this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_special(address: str) -> bool:
    """Whether an IP address is local to this host or link (or is none of a single host)."""
    found = ipaddress.ip_address(address.partition("%")[0])
    forms = [found, *_carried(found)]
    return any(each.is_loopback or each.is_link_local or each.is_unspecified or each.is_multicast for each in forms)


def _carried(found: ipaddress.IPv4Address | ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    """The IPv4 addresses that an IPv6 address stands for: mapped and compatible (RFC 4291, 2.5.5), 6to4 (RFC 3056),
    and what a translator takes it for (RFC 6052, 2.1)."""
    if isinstance(found, ipaddress.IPv4Address):
        return []
    last = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
    ends = [last] if int(found) >> 32 == 0 or found in _TRANSLATED else []
    return [*ends, *(each for each in (found.ipv4_mapped, found.sixtofour) if each is not None)]


def endpoint(registry: str, plain: bool | None = None) -> str:
    """The base URL of a registry. ``plain``: over plain HTTP; by default only on loopback."""
    host = _SERVED_AT.get(registry, registry)
    if plain is None:
        plain = is_loopback(urlsplit(f"//{host}").hostname or "")
    return f"{'http' if plain else 'https'}://{host}"


def origin(url: str) -> Origin:
    """The origin of a URL. Raises ``Permanent`` for one that may not be followed at all."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        raise errors.Permanent("it sent a malformed address") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise errors.Permanent(f"it sent an address that is neither http nor https ({parts.scheme[:20]}:)")
    if parts.username is not None or parts.password is not None:
        raise errors.Permanent("it sent an address with a user name or password in it")
    return Origin(parts.scheme, parts.hostname, port)


def follow(registry_url: str, from_url: str, location: str, *, plain: bool = False) -> str:
    """The absolute URL that a redirect or a realm leads to. ``plain``: the registry is configured to have no TLS, so
    the places it leads to need none. Raises ``Permanent`` if it may not be followed."""
    try:
        url = urljoin(from_url, location)
    except ValueError:
        raise errors.Permanent("it sent a malformed address") from None
    target, registry = origin(url), origin(registry_url)
    if target == registry:
        return url
    local = is_loopback(registry.host)
    if target.scheme == "http" and not plain and not (local and is_loopback(target.host)):
        raise errors.Permanent(f"it sent us to {target.host} without TLS{_ADVICE if registry.scheme == 'http' else ''}")
    if not local and (is_loopback(target.host) or _is_special_literal(target.host)):
        raise errors.Permanent(f"it sent us to {target.host}, an address of this host or link")
    return url


def _is_special_literal(host: str) -> bool:
    try:
        return is_special(host)
    except ValueError:
        return False
