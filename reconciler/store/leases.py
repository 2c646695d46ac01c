"""Subnets of networks, and addresses in them."""

from __future__ import annotations

import ipaddress
from typing import Any

from sqlalchemy import Integer, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from reconciler import errors
from reconciler.store import tables
from reconciler.store.sql import Link, Query

_l, _s, _o = tables.leases.c, tables.subnets.c, tables.objects.c

_SUBNET = Query(select(_s.subnet).where(_s.network_uid == bindparam("network")))
_SUBNETS = Query(select(_s.network_uid, _s.subnet).order_by(_s.network_uid))
_NAME = Query(select(func.lower(_o.kind) + "/" + _o.namespace + "/" + _o.name).where(_o.uid == bindparam("uid")))
_NEW_SUBNET = upsert(tables.subnets)
_PUT_SUBNET = Query(
    _NEW_SUBNET.on_conflict_do_update(index_elements=["network_uid"], set_={"subnet": _NEW_SUBNET.excluded.subnet})
)
_DROP_SUBNET = Query(delete(tables.subnets).where(_s.network_uid == bindparam("network")))
_DROP_NETWORK = Query(delete(tables.leases).where(_l.network_uid == bindparam("network")))

_of_network = _l.network_uid == bindparam("network")
_in_range = (_of_network, _l.address.between(bindparam("first"), bindparam("last")))
_MINE = Query(select(_l.address).where(_of_network, _l.owner_uid == bindparam("owner")))
_ADDRESSES = Query(
    select(_l.network_uid, _l.address).where(_l.owner_uid == bindparam("owner")).order_by(_l.network_uid)
)
_ALL = Query(
    select(_l.network_uid, _l.owner_uid, _l.address)
    .where(_l.owner_uid.is_not(None))
    .order_by(_l.network_uid, _l.address)
)
_HIGHEST = Query(select(func.max(_l.address)).where(*_in_range))
_KNOWN = Query(select(_l.address).where(*_in_range).order_by(_l.address))
_COUNT = Query(select(func.count()).select_from(tables.leases).where(*_in_range, _l.address != bindparam("gateway")))
_OLDEST = Query(
    select(_l.address)
    .where(*_in_range, _l.owner_uid.is_(None), _l.address != bindparam("gateway"))
    .order_by(_l.released, _l.address)
    .limit(1)
)
_FORGET = Query(delete(tables.leases).where(_of_network, _l.address == bindparam("address")))
_TAKE = Query(insert(tables.leases))
_CLOCK = Query(select(func.coalesce(func.max(_l.released), 0)))
_FREE = update(tables.leases).values(owner_uid=None, released=bindparam("clock", type_=Integer))
_RELEASE = Query(_FREE.where(_l.owner_uid == bindparam("owner")))
_RELEASE_ONE = Query(_FREE.where(_l.owner_uid == bindparam("owner"), _of_network))


class SqlLeases:
    """``base.Leases``. Addresses that were given back are remembered with the order in which they were."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def subnet(self, network_uid: str) -> str | None:
        found: str | None = self._link.value(_SUBNET, network=network_uid)
        return found

    def subnets(self) -> dict[str, str]:
        return dict(self._link.rows(_SUBNETS))

    def take_subnet(self, network_uid: str, subnet: str) -> None:
        """Raises ``Conflict`` when another network holds addresses of ``subnet``."""
        wanted = ipaddress.IPv4Network(subnet)
        for other, taken in self.subnets().items():
            if other != network_uid and wanted.overlaps(ipaddress.IPv4Network(taken)):
                raise errors.Conflict(f"subnet {subnet} overlaps {taken}, which {self._name(other)} holds")
        if self.subnet(network_uid) != str(wanted):
            self._link.write(_PUT_SUBNET, network_uid=network_uid, subnet=str(wanted))

    def _name(self, uid: str) -> str:
        """The object of that uid as people call it."""
        return str(self._link.value(_NAME, uid=uid) or "a network that is gone")

    def address(self, network_uid: str, owner_uid: str, subnet: str, gateway: str) -> str:
        net = ipaddress.IPv4Network(subnet)
        mine = self._link.value(_MINE, network=network_uid, owner=owner_uid)
        router = int(ipaddress.IPv4Address(gateway))
        if mine is not None:
            if ipaddress.IPv4Address(mine) in net and mine != router:
                return str(ipaddress.IPv4Address(mine))
            self._link.write(_FORGET, network=network_uid, address=mine)
        chosen = self._choose(network_uid, net, router)
        self._link.write(_FORGET, network=network_uid, address=chosen)
        self._link.write(_TAKE, network_uid=network_uid, address=chosen, owner_uid=owner_uid, released=0)
        return str(ipaddress.IPv4Address(chosen))

    def addresses(self, owner_uid: str) -> dict[str, str]:
        rows = self._link.rows(_ADDRESSES, owner=owner_uid)
        return {network: str(ipaddress.IPv4Address(address)) for network, address in rows}

    def release(self, owner_uid: str, network_uid: str = "") -> None:
        clock = int(self._link.value(_CLOCK)) + 1
        if network_uid:
            self._link.write(_RELEASE_ONE, owner=owner_uid, network=network_uid, clock=clock)
            return
        self._link.write(_RELEASE, owner=owner_uid, clock=clock)
        self._link.write(_DROP_SUBNET, network=owner_uid)
        self._link.write(_DROP_NETWORK, network=owner_uid)

    def all(self) -> list[tuple[str, str, str]]:
        return [
            (network, owner, str(ipaddress.IPv4Address(address))) for network, owner, address in self._link.rows(_ALL)
        ]

    def _choose(self, network_uid: str, net: ipaddress.IPv4Network, router: int) -> int:
        """Addresses never used come first, in their order; then the one given back longest ago."""
        hosts = range(int(net.network_address) + 1, int(net.broadcast_address))
        if hosts:
            span: dict[str, Any] = {"network": network_uid, "first": hosts[0], "last": hosts[-1]}
            fresh = self._fresh(span, hosts, router)
            chosen = fresh if fresh is not None else self._link.value(_OLDEST, gateway=router, **span)
            if chosen is not None:
                return int(chosen)
        raise errors.Temporary(
            f"no address is free in {net}: remove containers from this network or give it a larger subnet"
        )

    def _fresh(self, span: dict[str, Any], hosts: range, router: int) -> int | None:
        """The first address after the highest one ever used; failing that the first gap below it."""
        highest = self._link.value(_HIGHEST, **span)
        following = hosts[0] if highest is None else int(highest) + 1
        following += following == router
        if following in hosts:
            return following
        if self._link.value(_COUNT, gateway=router, **span) >= len(hosts) - (router in hosts):
            return None
        known = {address for (address,) in self._link.rows(_KNOWN, **span)} | {router}
        return next((address for address in hosts if address not in known), None)
