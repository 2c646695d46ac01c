"""What ``pydock get`` shows of a container."""

from __future__ import annotations

from typing import Any

from reconciler.kinds.base.columns import NONE, Column, of_spec, of_status


def _restarts(obj: dict[str, Any]) -> str:
    return str((obj.get("status") or {}).get("restartCount") or 0)


def _ports(obj: dict[str, Any]) -> str:
    return ",".join(map(_port, obj["spec"].get("ports") or ())) or NONE


def _port(port: dict[str, Any]) -> str:
    address = port.get("hostIP") or "0.0.0.0"
    before = "" if address == "0.0.0.0" else f"{address}:"
    return f"{before}{port.get('hostPort')}->{port.get('containerPort')}/{str(port.get('protocol') or 'TCP').lower()}"


def _addresses(obj: dict[str, Any]) -> str:
    found = (obj.get("status") or {}).get("addresses") or ()
    return ",".join(str(entry.get("address")) for entry in found) or NONE


COLUMNS = (
    Column("RESTARTS", _restarts, before_age=True),
    Column("IMAGE", of_spec("image")),
    Column("PORTS", _ports),
    Column("PID", of_status("pid"), wide=True),
    Column("ADDRESS", _addresses, wide=True),
    Column("IMAGE DIGEST", of_status("imageDigest"), wide=True),
)
