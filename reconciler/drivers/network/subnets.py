"""Choosing a subnet that is free on this host. Pure."""

from __future__ import annotations

import hashlib
import ipaddress
import itertools
from collections.abc import Iterable, Iterator, Sequence

from reconciler import errors

#: in order of preference; docker and podman choose theirs elsewhere in 10.0.0.0/8 and 172.16.0.0/12 by default
_POOLS = ("10.208.0.0/12", "192.168.0.0/16", "172.16.0.0/12")
_PREFIX = 24
#: what is tried first for a network that is to hold thousands. In the first pool alone: the others are small, and often
#: somebody's
_LARGE = (16, 18, 20, 22)
#: a wider route than this is a default route in disguise (VPNs split theirs into halves), not a neighbour
_WIDEST = 8

Network = ipaddress.IPv4Network


def free(seed: str, taken: Iterable[Network], large: bool = False) -> str:
    """A /24 of the pools that overlaps none of ``taken``; ``large``: a /16 or the largest below it. The search starts
    at a place given by ``seed``, so that two instances that choose at the same moment choose differently. Raises
    ``Permanent`` when nothing is free."""
    spans = [_span(network) for network in taken if network.prefixlen >= _WIDEST]
    for prefix in _LARGE if large else ():
        if found := _first_free(_candidates(seed, _POOLS[:1], prefix), spans):
            return found
    if found := _first_free(_candidates(seed, _POOLS, _PREFIX), spans):
        return found
    raise errors.Permanent(f"no free /{_PREFIX} subnet in {', '.join(_POOLS)}: give the network a subnet of its own")


def _first_free(candidates: Iterable[Network], spans: Sequence[tuple[int, int]]) -> str:
    for candidate in candidates:
        start, end = _span(candidate)
        if not any(first <= end and start <= last for first, last in spans):
            return str(candidate)
    return ""


def overlap(subnet: str, others: Iterable[Network]) -> Network | None:
    """The first of ``others`` that overlaps ``subnet``."""
    own = ipaddress.IPv4Network(subnet)
    return next((other for other in others if own.overlaps(other)), None)


def _span(network: Network) -> tuple[int, int]:
    return int(network.network_address), int(network.broadcast_address)


def _candidates(seed: str, pools: Sequence[str], prefix: int) -> Iterator[Network]:
    offset = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4], "big")
    for pool in map(ipaddress.IPv4Network, pools):
        count = 1 << (prefix - pool.prefixlen)
        start = int(pool.network_address)
        for number in itertools.islice(itertools.cycle(range(count)), offset % count, offset % count + count):
            yield ipaddress.IPv4Network((start + (number << (32 - prefix)), prefix))
