"""From a container's effective spec and its image to the exec driver's plain arguments."""

from __future__ import annotations

import ipaddress
import os

from reconciler.drivers.exec.base import ContainerConfig
from reconciler.engine.parts import Parts
from reconciler.kinds.container import spec
from reconciler.kinds.container.aspects import table
from reconciler.kinds.container.aspects.base import Run
from reconciler.kinds.container.observed import ContainerObserved
from reconciler.model.objects import Desired
from reconciler.model.view import ImageFacts

#: the host's resolver settings; the second file is read if the first names only a local stub (systemd- resolved)
_RESOLV_CONF = ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")

#: below the root, where files of the runs stand: a rootfs may have empty ones there to mount upon
PLACED = frozenset((b"etc/hostname", b"etc/hosts", b"etc/resolv.conf"))


def build(
    parts: Parts, desired: Desired, observed: ContainerObserved, image: ImageFacts, rootfs: str
) -> ContainerConfig:
    """Everything that the next run of the present incarnation needs: what the aspects of its spec give, and what
    follows from its place on the host."""
    assert observed.incarnation is not None
    effective = observed.incarnation.effective
    run = Run(effective, image, hostname=effective.hostname or desired.key.name)
    return ContainerConfig(
        id=observed.incarnation.id,
        rootfs=rootfs,
        netns=parts.network.netns_path(desired.uid),
        log_path=os.path.join(parts.log_dir, desired.uid, "log"),
        files=_files(observed, run.hostname),
        directories=image.volumes,
        labels=observed.incarnation.labels,
        **table.configure(spec.ASPECTS, run),
    )


def _files(observed: ContainerObserved, hostname: str) -> dict[str, str]:
    hosts = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"]
    hosts += [f"{attachment.address}\t{hostname}" for attachment in observed.attachments[:1]]
    return {"/etc/hostname": f"{hostname}\n", "/etc/hosts": "\n".join(hosts) + "\n", "/etc/resolv.conf": _resolv_conf()}


def _resolv_conf() -> str:
    """The host's resolvers without those on loopback, which a container cannot reach."""
    for path in _RESOLV_CONF:
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                lines = [line.rstrip() for line in file.read(65536).splitlines()]
        except OSError:
            continue
        kept = [line for line in lines if line and not _local_nameserver(line)]
        if any(line.startswith("nameserver") for line in kept):
            return "\n".join(kept) + "\n"
    return ""


def _local_nameserver(line: str) -> bool:
    words = line.split()
    if len(words) < 2 or words[0] != "nameserver":
        return False
    try:
        return ipaddress.ip_address(words[1].partition("%")[0]).is_loopback
    except ValueError:
        return True
