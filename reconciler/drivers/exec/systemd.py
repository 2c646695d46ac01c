"""Asking systemd for cgroups, on hosts that it booted with cgroup v2: there nobody else may make them.

The runtime puts the container into a scope by itself (``--systemd-cgroup``); here is conmon's scope, and changed
limits. Interface: org.freedesktop.systemd1(5). jeepney is imported when it is needed: most test hosts never do.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from reconciler.drivers.exec import base, cgroups
from reconciler.errors import Temporary

if TYPE_CHECKING:
    from jeepney.io.blocking import DBusConnection
    from jeepney.low_level import Message

Variant = tuple[str, Any]

_INFINITY = (1 << 64) - 1
_TIMEOUT = 10.0
#: how long systemd may take to carry out what it has accepted
_MOVE_TIMEOUT = 5.0


def booted() -> bool:
    """Whether systemd is this host's init (sd_booted(3))."""
    return os.path.isdir("/run/systemd/system")


def scope_message(unit: str, slice: str, pid: int, description: str) -> Message:
    """StartTransientUnit for a scope that holds ``pid``: without default dependencies, so that it goes neither with
    our service nor before the containers at shutdown, and collected by itself when it is empty."""
    properties: list[tuple[str, Variant]] = [
        ("Description", ("s", description)),
        ("Slice", ("s", slice)),
        ("PIDs", ("au", [pid])),
        ("DefaultDependencies", ("b", False)),
        ("CollectMode", ("s", "inactive-or-failed")),
    ]
    return _call("StartTransientUnit", "ssa(sv)a(sa(sv))", (unit, "replace", properties, []))


def limits_message(unit: str, limits: base.Limits) -> Message:
    """SetUnitProperties for a container's scope, for as long as it runs."""
    properties: list[tuple[str, Variant]] = [
        ("CPUQuotaPerSecUSec", ("t", limits.cpu_millis * 1000 or _INFINITY)),
        ("MemoryMax", ("t", limits.memory or _INFINITY)),
        ("MemorySwapMax", ("t", 0 if limits.memory else _INFINITY)),
        ("TasksMax", ("t", limits.pids or _INFINITY)),
    ]
    return _call("SetUnitProperties", "sba(sv)", (unit, True, properties))


def tasks_message(unit: str, pids: int) -> Message:
    """SetUnitProperties for the number of tasks alone."""
    return _call("SetUnitProperties", "sba(sv)", (unit, True, [("TasksMax", ("t", pids))]))


def stop_message(unit: str) -> Message:
    """StopUnit. A slice stops whatever is in it, so it is asked for only when that is nothing."""
    return _call("StopUnit", "ss", (unit, "replace"))


def _call(method: str, signature: str, body: tuple[Any, ...]) -> Message:
    from jeepney import DBusAddress, new_method_call

    manager = DBusAddress(
        "/org/freedesktop/systemd1", bus_name="org.freedesktop.systemd1", interface="org.freedesktop.systemd1.Manager"
    )
    return new_method_call(manager, method, signature, body)


def put_into_scope(unit: str, slice: str, pid: int, group: str) -> None:
    """Moves a process into a scope of its own and waits until it is there. Raises ``Temporary`` when systemd fails."""
    send(scope_message(unit, slice, pid, f"pydock supervisor {unit}"))
    deadline = time.monotonic() + _MOVE_TIMEOUT
    while group not in (cgroups.read_text(f"/proc/{pid}/cgroup") or group):
        if time.monotonic() > deadline:
            raise Temporary(f"systemd has not moved process {pid} into {unit} within {_MOVE_TIMEOUT:.0f} s")
        time.sleep(0.002)


def set_limits(unit: str, limits: base.Limits) -> None:
    """Tells systemd the limits, so that a reload of its units does not put the old ones back."""
    send(limits_message(unit, limits))


def send(message: Message) -> tuple[Any, ...]:
    """One call on the system bus; its answer's body. Raises ``Temporary`` with systemd's words."""
    from jeepney import DBusErrorResponse
    from jeepney.auth import AuthenticationError
    from jeepney.wrappers import unwrap_msg

    try:
        with _connection() as connection:
            answer: tuple[Any, ...] = unwrap_msg(connection.send_and_get_reply(message, timeout=_TIMEOUT))
            return answer
    except DBusErrorResponse as error:
        words = error.data[0] if error.data else error.name
        raise Temporary(f"systemd refused: {words}") from error
    except (OSError, EOFError, AuthenticationError) as error:
        raise Temporary(f"systemd cannot be asked over the system bus: {error}") from error


@contextlib.contextmanager
def _connection() -> Iterator[DBusConnection]:
    from jeepney.io.blocking import open_dbus_connection

    connection = open_dbus_connection(bus="SYSTEM", auth_timeout=_TIMEOUT)
    try:
        yield connection
    finally:
        connection.close()
