"""From a container's effective spec and its image to the exec driver's plain arguments."""

from __future__ import annotations

import os

from reconciler.drivers.exec.base import BindMount, ContainerConfig, Limits, TmpfsMount
from reconciler.engine.parts import Parts
from reconciler.model import quantity
from reconciler.model.objects import Desired
from reconciler.model.observed import ContainerObserved
from reconciler.model.spec import ContainerSpec, Mount
from reconciler.model.view import ImageFacts

_DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: below the root, where files of the runs stand: a rootfs may have empty ones there to mount upon
PLACED = frozenset((b"etc/hostname", b"etc/hosts", b"etc/resolv.conf"))


def build(
    parts: Parts, desired: Desired, observed: ContainerObserved, image: ImageFacts, rootfs: str
) -> ContainerConfig:
    """All that the next run of the present incarnation needs."""
    assert observed.incarnation is not None
    spec = observed.incarnation.effective
    hostname = spec.hostname or desired.key.name
    security = spec.security_context
    return ContainerConfig(
        id=observed.incarnation.id,
        rootfs=rootfs,
        argv=argv(spec, image),
        env=environment(spec, image, hostname),
        cwd=spec.working_dir or image.working_dir or "/",
        user=spec.user if spec.user is not None else image.user,
        hostname=hostname,
        netns=parts.network.netns_path(desired.uid),
        log_path=os.path.join(parts.log_dir, desired.uid, "log"),
        mounts=tuple(_mount(mount) for mount in spec.mounts),
        files=_files(parts, observed, hostname),
        read_only=security.read_only_root_filesystem,
        cap_add=security.capabilities.add,
        cap_drop=security.capabilities.drop,
        limits=limits(spec),
        labels=observed.incarnation.labels,
    )


def argv(spec: ContainerSpec, image: ImageFacts) -> tuple[str, ...]:
    """Kubernetes' rule: ``command`` replaces the entrypoint and drops the image's cmd, ``args`` replaces the cmd."""
    if spec.command is not None:
        return spec.command + (spec.args or ())
    return image.entrypoint + (spec.args if spec.args is not None else image.cmd)


def environment(spec: ContainerSpec, image: ImageFacts, hostname: str) -> tuple[str, ...]:
    """PATH and HOSTNAME unless set, then the image's, then the manifest's, later ones winning."""
    merged: dict[str, str] = {}
    for entry in (_DEFAULT_PATH, f"HOSTNAME={hostname}", *image.env):
        name, _, value = entry.partition("=")
        merged[name] = value
    merged.update((variable.name, variable.value) for variable in spec.env)
    return tuple(f"{name}={value}" for name, value in merged.items())


def limits(spec: ContainerSpec) -> Limits:
    wanted = spec.resources.limits
    return Limits(
        cpu_millis=quantity.millicores(wanted.cpu) if wanted.cpu is not None else 0,
        memory=quantity.memory(wanted.memory) if wanted.memory is not None else 0,
        pids=wanted.pids if wanted.pids is not None else quantity.DEFAULT_PIDS,
    )


def _mount(mount: Mount) -> BindMount | TmpfsMount:
    if mount.host_path is not None:
        return BindMount(source=mount.host_path.path, target=mount.mount_path, read_only=mount.read_only)
    size = mount.tmpfs.size_limit if mount.tmpfs else None
    return TmpfsMount(target=mount.mount_path, size=quantity.to_bytes(size) if size else 0, read_only=mount.read_only)


def _files(parts: Parts, observed: ContainerObserved, hostname: str) -> dict[str, str]:
    hosts = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"]
    hosts += [f"{attachment.address}\t{hostname}" for attachment in observed.attachments[:1]]
    return {
        "/etc/hostname": f"{hostname}\n",
        "/etc/hosts": "\n".join(hosts) + "\n",
        "/etc/resolv.conf": parts.network.resolv_conf().text,
    }
