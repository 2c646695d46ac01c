"""Observed state: what drivers saw of one object, kept as one row by uid.

Times named ``*_at`` are Unix seconds for people; deadlines named ``*_mono`` are CLOCK_BOOTTIME seconds,
valid only while ``boot_id`` is this boot's, so that a moved clock changes no back-off.
``error`` is the last failed step's, ``error_count`` how often in a row it failed, ``error_step`` what was tried (the
planner's word for it: another thing may be tried at once).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from reconciler.model.spec import ContainerSpec, NetworkSpec

Process = Literal["absent", "created", "running", "exited"]
ExitReason = Literal["", "exited", "signal", "oom", "unknown", "error"]
ConditionStatus = Literal["True", "False", "Unknown"]
#: what of a running container can be missing or altered, each repaired without a restart
Facet = Literal["veth", "address", "route", "ports", "rootfs", "limits"]
#: what of a network can be missing or altered
NetworkFacet = Literal["bridge", "address", "rules", "forwarding"]


class Condition(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    type: str
    status: ConditionStatus
    reason: str
    message: str = ""
    last_transition_time: float = 0.0


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
    it then, ``effective`` the same with that version's defaults; the two tell what a later change means. ``created_at``
    is 0 where an earlier version of pydock made it.
    """

    id: str
    generation: int
    written: dict[str, Any]
    effective: ContainerSpec
    labels: dict[str, str]
    image_digest: str
    image_id: str
    created_at: float = 0.0


class ContainerObserved(msgspec.Struct, frozen=True, gc=False):
    """``starts`` counts every start of the incarnation's process; ``restart_count`` those that followed an exit
    (neither goes on from one incarnation to the next);
    ``failures`` the exits in a row without ten good minutes between (it sets the back-off). ``asked`` is the generation
    for whose next incarnation the registry was asked, ``latest`` its answer: that incarnation uses both up."""

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
    boot_id: str = ""
    restart: int = 0
    drift: tuple[Facet, ...] = ()
    asked: int = 0
    latest: str = ""
    observed_generation: int = 0
    error: str = ""
    error_count: int = 0
    error_step: str = ""
    retry_mono: float = 0.0
    conditions: tuple[Condition, ...] = ()
    phase: str = "Pending"


class ImageObserved(msgspec.Struct, frozen=True, gc=False):
    """``reference`` is normalised; ``digest`` is the manifest's; ``index_digest`` that of what the reference named;
    ``image_id`` the config's. ``latest`` is the registry's last answer to what the reference means, with ``latest_tag``
    where that is the highest version of a range, ``asked_*`` when it came and for which generation."""

    reference: str = ""
    digest: str = ""
    index_digest: str = ""
    image_id: str = ""
    platform: str = ""
    size: int = 0
    latest: str = ""
    latest_tag: str = ""
    asked_generation: int = 0
    asked_at: float = 0.0
    asked_mono: float = 0.0
    asked_boot: str = ""
    observed_generation: int = 0
    error: str = ""
    error_count: int = 0
    error_step: str = ""
    retry_mono: float = 0.0
    boot_id: str = ""
    conditions: tuple[Condition, ...] = ()
    phase: str = "Pending"


class NetworkObserved(msgspec.Struct, frozen=True, gc=False):
    """``effective`` None: nothing has been made yet. ``subnet`` and ``gateway`` are the ones in use."""

    effective: NetworkSpec | None = None
    written: dict[str, Any] = {}
    bridge: str = ""
    subnet: str = ""
    gateway: str = ""
    created: bool = False
    drift: tuple[NetworkFacet, ...] = ()
    observed_generation: int = 0
    error: str = ""
    error_count: int = 0
    error_step: str = ""
    retry_mono: float = 0.0
    boot_id: str = ""
    conditions: tuple[Condition, ...] = ()
    phase: str = "Pending"


Observed = ContainerObserved | ImageObserved | NetworkObserved
