"""What ``pydock get`` shows of each kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from reconciler.cli import times
from reconciler.model import kinds, sizes

NONE = "<none>"


class Column(NamedTuple):
    """``wide`` columns are shown by ``-o wide`` only."""

    header: str
    cell: Callable[[dict[str, Any]], str]
    wide: bool = False


def condition(obj: dict[str, Any], name: str) -> dict[str, Any]:
    """The condition ``name``, in any case, of an object; empty when it has none."""
    found: list[dict[str, Any]] = (obj.get("status") or {}).get("conditions") or []
    return next((entry for entry in found if str(entry.get("type")).lower() == name.lower()), {})


def ready(obj: dict[str, Any]) -> str:
    """``True``, ``False`` or ``Unknown``."""
    return str(condition(obj, "Ready").get("status") or "Unknown")


def status(obj: dict[str, Any]) -> str:
    """One word for the state: the phase, or why the object is not ready; with how far its image has come."""
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    shown = obj.get("status") or {}
    phase = str(shown.get("phase") or "Pending")
    word = phase if ready(obj) == "True" else str(condition(obj, "Ready").get("reason") or phase)
    return f"{word} {shown['progress'].get('percent', 0)}%" if shown.get("progress") and word == "Pulling" else word


def _status_field(name: str) -> Callable[[dict[str, Any]], str]:
    return lambda obj: _text((obj.get("status") or {}).get(name))


def _spec_field(name: str) -> Callable[[dict[str, Any]], str]:
    return lambda obj: _text((obj.get("spec") or {}).get(name))


def _text(value: object) -> str:
    return NONE if value is None or value == "" else str(value)


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


def size(value: object) -> str:
    """Bytes in the largest unit that fits: ``4.3MiB``."""
    return sizes.text(float(value)) if isinstance(value, int | float) and value else NONE


def _size(obj: dict[str, Any]) -> str:
    return size((obj.get("status") or {}).get("size"))


def _age(obj: dict[str, Any]) -> str:
    """Since the container was made, which a changed spec does anew; of other kinds, since the object was."""
    made = (obj.get("status") or {}).get("createdAt")
    return times.since(made or obj["metadata"].get("creationTimestamp"))


_READY = Column("READY", ready)
_STATUS = Column("STATUS", status)
_AGE = Column("AGE", _age)

_COLUMNS: dict[str, tuple[Column, ...]] = {
    kinds.CONTAINER.name: (
        _READY,
        _STATUS,
        Column("RESTARTS", _restarts),
        _AGE,
        Column("IMAGE", _spec_field("image")),
        Column("PORTS", _ports),
        Column("PID", _status_field("pid"), wide=True),
        Column("ADDRESS", _addresses, wide=True),
        Column("IMAGE DIGEST", _status_field("imageDigest"), wide=True),
    ),
    kinds.IMAGE.name: (
        _READY,
        _STATUS,
        _AGE,
        Column("REFERENCE", _spec_field("reference")),
        Column("SIZE", _size),
        Column("DIGEST", _status_field("digest"), wide=True),
    ),
    kinds.NETWORK.name: (
        _READY,
        _STATUS,
        _AGE,
        Column("SUBNET", _status_field("subnet")),
        Column("GATEWAY", _status_field("gateway"), wide=True),
        Column("BRIDGE", _status_field("bridge"), wide=True),
    ),
}


def of(kind: kinds.Kind, *, wide: bool = False, namespace: bool = False, prefix: bool = False) -> Sequence[Column]:
    """The columns of ``kind``. ``namespace`` adds that in front; ``prefix`` writes names as ``container/web``."""
    before = f"{kind.singular}/" if prefix else ""
    spaced = namespace and kind.namespaced
    first = [Column("NAMESPACE", lambda obj: str(obj["metadata"]["namespace"]))] if spaced else []
    name = Column("NAME", lambda obj: before + str(obj["metadata"]["name"]))
    return [*first, name, *(column for column in _COLUMNS[kind.name] if wide or not column.wide)]
