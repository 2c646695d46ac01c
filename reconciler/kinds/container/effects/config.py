"""From a container's effective spec and its image to the exec driver's plain arguments."""

from __future__ import annotations

import os

from reconciler.drivers.exec.base import ContainerConfig
from reconciler.engine.parts import Parts
from reconciler.kinds.container import spec
from reconciler.kinds.container.aspects import table
from reconciler.kinds.container.aspects.base import Run
from reconciler.kinds.container.observed import ContainerObserved
from reconciler.model.objects import Desired
from reconciler.model.view import ImageFacts

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
        files=_files(parts, observed, run.hostname),
        directories=image.volumes,
        labels=observed.incarnation.labels,
        **table.configure(spec.ASPECTS, run),
    )


def _files(parts: Parts, observed: ContainerObserved, hostname: str) -> dict[str, str]:
    hosts = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"]
    hosts += [f"{attachment.address}\t{hostname}" for attachment in observed.attachments[:1]]
    return {
        "/etc/hostname": f"{hostname}\n",
        "/etc/hosts": "\n".join(hosts) + "\n",
        "/etc/resolv.conf": parts.network.resolv_conf().text,
    }
