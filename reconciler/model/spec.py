"""Effective specs: what a manifest's ``spec`` means once defaults are applied.

What is stored is what the user wrote (a ``dict``); these types are made from it when planning.
JSON field names are Kubernetes' (camelCase); ``msgspec.convert(dict, ContainerSpec)`` applies defaults.
The schemas in ``schemas/`` are checked first: these types do not validate.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Protocol = Literal["TCP", "UDP"]
PullPolicy = Literal["Always", "IfNotPresent", "Never", "Newer"]
RestartPolicy = Literal["Always", "OnFailure", "Never"]


class Spec(msgspec.Struct, frozen=True, gc=False, rename="camel", kw_only=True):
    """Encoded with its defaults: an incarnation's record must keep those of the version that made it."""


class UpdatePolicy(Spec, frozen=True):
    """``interval``: a duration such as ``30m`` between two questions to the registry. ``range``: of versions, with
    ``SemVer`` and only there (``model.versions``)."""

    type: Literal["None", "Digest", "SemVer"]
    interval: str = "1h"
    range: str | None = None


class ImageSpec(Spec, frozen=True):
    """``platform`` None means this host's, ``update_policy`` None that the tag is not asked for again."""

    reference: str
    pull_policy: PullPolicy = "IfNotPresent"
    platform: str | None = None
    update_policy: UpdatePolicy | None = None


class NetworkSpec(Spec, frozen=True):
    """``subnet`` None means: pydock leases a free one. ``gateway`` None means the first host address."""

    subnet: str | None = None
    gateway: str | None = None
    mtu: int = 1500
    internal: bool = False
    masquerade: bool = True


class EnvVar(Spec, frozen=True):
    name: str
    value: str = ""


class Port(Spec, frozen=True):
    container_port: int
    host_port: int
    protocol: Protocol = "TCP"
    host_ip: str = msgspec.field(default="0.0.0.0", name="hostIP")


class NetworkRef(Spec, frozen=True):
    name: str


class HostPath(Spec, frozen=True):
    path: str


class Tmpfs(Spec, frozen=True):
    """``size_limit``: a Kubernetes quantity of bytes; None leaves the kernel's default (half of memory)."""

    size_limit: str | None = None


class Mount(Spec, frozen=True):
    """Exactly one of ``host_path`` and ``tmpfs`` is set."""

    mount_path: str
    read_only: bool = False
    host_path: HostPath | None = None
    tmpfs: Tmpfs | None = None


class Limits(Spec, frozen=True):
    """Kubernetes quantities: cpu ``500m`` or ``1.5``, memory ``64Mi``; pids a number. None is no limit,
    but pids, where None is the daemon's default (``quantity.DEFAULT_PIDS``)."""

    cpu: str | int | float | None = None
    memory: str | int | None = None
    pids: int | None = None


class Resources(Spec, frozen=True):
    limits: Limits = Limits()


class Dependency(Spec, frozen=True):
    """Another container of the same namespace that must have started first."""

    name: str
    condition: Literal["Started"] = "Started"


class Capabilities(Spec, frozen=True):
    """Names without the ``CAP_`` prefix, upper case; ``ALL`` is allowed."""

    add: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()


class SecurityContext(Spec, frozen=True):
    read_only_root_filesystem: bool = False
    capabilities: Capabilities = Capabilities()


class ContainerSpec(Spec, frozen=True):
    """``command`` None keeps the image's entrypoint, ``args`` None its cmd (dropped when command is set).
    ``user`` is ``name|uid[:group|gid]``; None keeps the image's. ``networks`` () means the default one."""

    image: str
    image_pull_policy: PullPolicy = "IfNotPresent"
    command: tuple[str, ...] | None = None
    args: tuple[str, ...] | None = None
    env: tuple[EnvVar, ...] = ()
    working_dir: str | None = None
    user: str | None = None
    hostname: str | None = None
    ports: tuple[Port, ...] = ()
    networks: tuple[NetworkRef, ...] = ()
    mounts: tuple[Mount, ...] = ()
    resources: Resources = Resources()
    restart_policy: RestartPolicy = "Always"
    depends_on: tuple[Dependency, ...] = ()
    stop_signal: str | int | None = None
    termination_grace_period_seconds: int = 10
    security_context: SecurityContext = SecurityContext()
