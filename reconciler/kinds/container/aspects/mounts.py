"""What is mounted into a container."""

from __future__ import annotations

from typing import Annotated

from reconciler.drivers.exec.base import BindMount, TmpfsMount
from reconciler.kinds.base import values
from reconciler.kinds.container.aspects.base import Arguments, Aspect, Run
from reconciler.model import forms
from reconciler.model.fields import Field, Spec


class HostPath(Spec, frozen=True):
    path: Annotated[str, values.path("Its absolute path; it must be there.")]


class Tmpfs(Spec, frozen=True):
    """``size_limit``: a Kubernetes quantity of bytes; None leaves the kernel's default (half of memory)."""

    size_limit: Annotated[str | int | None, values.quantity("Bytes: the most it may hold.", forms.size)] = None


class Mount(Spec, frozen=True):
    """Exactly one of ``host_path`` and ``tmpfs`` is set."""

    mount_path: Annotated[str, values.path("Where it appears inside the container.", forms.mount_path)]
    read_only: Annotated[bool, Field("True: the container cannot write there.")] = False
    host_path: Annotated[HostPath | None, Field("A file or directory of the host.", later=("type",))] = None
    tmpfs: Annotated[Tmpfs | None, Field("Memory, empty at each start.", later=("mode",))] = None


def _configure(run: Run) -> Arguments:
    return {"mounts": tuple(_mount(mount) for mount in run.spec.mounts)}


def _mount(mount: Mount) -> BindMount | TmpfsMount:
    target = forms.path(mount.mount_path)
    if mount.host_path is not None:
        return BindMount(source=forms.path(mount.host_path.path), target=target, read_only=mount.read_only)
    size = mount.tmpfs.size_limit if mount.tmpfs else None
    return TmpfsMount(target=target, size=forms.size(size) if size else 0, read_only=mount.read_only)


_SHORT = (
    (r"(/[^:]*):(/[^:]*):ro", "mountPath: \\2, readOnly: true and hostPath: {path: \\1}"),
    (r"(/[^:]*):(/[^:]*)(?::rw)?", "mountPath: \\2 and hostPath: {path: \\1}"),
)

Mounts = Annotated[
    tuple[
        Annotated[
            Mount,
            Field(
                "One mount: of a path of the host or of memory.",
                later=("name", "subPath", "volume", "config", "secret", "mountPropagation"),
                one_of=("hostPath", "tmpfs"),
                short=_SHORT,
            ),
        ],
        ...,
    ],
    Field("What is mounted into the container.", max_items=256, keys=("mountPath",), repeated="mounted"),
    Aspect("mounts", _configure),
]
