"""What is observed of a container."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from reconciler.kinds.container.spec import ContainerSpec
from reconciler.model.observed import Observed

Process = Literal["absent", "created", "running", "exited"]
ExitReason = Literal["", "exited", "signal", "oom", "unknown", "error"]
#: parts of a running container that can be missing or altered and are repaired without a restart: ``veth``,
#: ``address``, ``route``, ``ports``, ``rootfs``, or the name of an aspect of its spec (``limits``)
Facet = str


class Attachment(msgspec.Struct, frozen=True, gc=False):
    """One interface of a container: leased before anything is made, kept until the object is removed."""

    network_uid: str
    network: str
    interface: str
    host_interface: str
    address: str
    prefix: int
    gateway: str
    mac: str


class Incarnation(msgspec.Struct, frozen=True, gc=False):
    """One creation of a container: recorded before the first side effect.

    ``id`` names its conmon, OCI container, cgroup and snapshot. ``written`` is the spec as the user wrote
    it then, ``effective`` the same with that version's defaults; the two tell what a later change means.
    ``created_at`` is 0 where an earlier version of pydock made it.
    """

    id: str
    generation: int
    written: dict[str, Any]
    effective: ContainerSpec
    labels: dict[str, str]
    image_digest: str
    image_id: str
    created_at: float = 0.0


class LastExit(msgspec.Struct, frozen=True, gc=False):
    """How the process ended last; ``finished_at`` in Unix seconds, ``signal`` 0 for none."""

    code: int | None
    reason: ExitReason
    signal: int
    finished_at: float


class ContainerObserved(Observed, frozen=True, gc=False, kw_only=True):
    """``starts`` counts every start of the incarnation's process; ``restart_count`` those that followed an exit (both
    start over with each incarnation); ``failures`` the exits in a row without ten good minutes between (it sets the
    back-off). ``asked`` is the generation for whose next incarnation the registry was asked, ``latest`` its answer:
    making that incarnation clears both. ``stop_mono`` is when the process was asked to end (0: it was not),
    ``stop_sent`` whether the signal was sent. ``last_exit`` stays when the
    process runs again."""

    incarnation: Incarnation | None = None
    attachments: tuple[Attachment, ...] = ()
    process: Process = "absent"
    pid: int = 0
    pid_start: int = 0
    supervised: bool = True
    started_at: float = 0.0
    started_mono: float = 0.0
    finished_at: float = 0.0
    exit_code: int | None = None
    exit_reason: ExitReason = ""
    exit_signal: int = 0
    starts: int = 0
    restart_count: int = 0
    failures: int = 0
    next_start_mono: float = 0.0
    restart: int = 0
    drift: tuple[Facet, ...] = ()
    asked: int = 0
    latest: str = ""
    stop_mono: float = 0.0
    stop_sent: bool = False
    last_exit: LastExit | None = None
