"""Mounting overlay, with as many layers as the kernel stacks.

Light on purpose: the extraction helper imports it. Two ways: since Linux 6.7 layers are handed over one by one
(``lowerdir+``), up to 500; before, all of them go into one page of options, so they are named relative to their
common directory by names of 16 characters, which makes room for more than 200.

Options: ``index=off`` as Docker has it (an index would tie the upper directory to one mount and break layers that were
copied), ``metacopy=off`` and ``redirect_dir=nofollow``, so that a layer's marks cannot lead to another layer's data.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence

from reconciler.drivers.graph import syscalls

_COMMON = (("index", "off"), ("metacopy", "off"), ("redirect_dir", "nofollow"))
_PAGE = 4095
#: flags that a mount may have besides, as mount(8) names them: for the new way and for the old one
FLAGS = {
    "nodev": (syscalls.MOUNT_ATTR_NODEV, syscalls.MS_NODEV),
    "nosuid": (syscalls.MOUNT_ATTR_NOSUID, syscalls.MS_NOSUID),
    "noatime": (syscalls.MOUNT_ATTR_NOATIME, syscalls.MS_NOATIME),
}


def detached(
    source: str, layers: str, names: Sequence[str], upper: str = "", work: str = "", flags: Sequence[str] = ()
) -> int:
    """A descriptor of a new mount, attached nowhere; ``names`` in the directory ``layers``, top first, two at least if
    there is no ``upper``. ``source`` is what mount tables show, ``flags`` are out of ``FLAGS``. Raises ``OSError``
    (EINVAL on kernels that do not know the way)."""
    options = [("source", source), *_COMMON]
    options += [("lowerdir+", os.path.join(layers, name)) for name in names]
    if upper:
        options += [("upperdir", upper), ("workdir", work)]
    return syscalls.new_mount("overlay", options, sum({FLAGS[flag][0] for flag in flags}))


def mount(
    source: str,
    target: str,
    layers: str,
    names: Sequence[str],
    upper: str = "",
    work: str = "",
    flags: Sequence[str] = (),
) -> None:
    """The same by mount(2), at ``target``; for older kernels."""
    parts = [f"lowerdir={':'.join(names)}", *(f"{key}={value}" for key, value in _COMMON)]
    if upper:
        parts += [f"upperdir={upper}", f"workdir={work}"]
    data = ",".join(parts)
    if len(os.fsencode(data)) > _PAGE:
        raise OSError(
            errno.E2BIG, f"{len(names)} layers are more than this kernel can mount: Linux 6.8 or later takes 500"
        )

    def there() -> None:
        syscalls.unshare(syscalls.CLONE_FS)
        os.chdir(layers)
        syscalls.mount(source, target, "overlay", sum({FLAGS[flag][1] for flag in flags}), data)

    syscalls.apart(there)


def attach(
    source: str, target: str, layers: str, names: Sequence[str], upper: str, work: str, flags: Sequence[str] = ()
) -> None:
    """Mounts at ``target``, the new way or else the old one."""
    try:
        descriptor = detached(source, layers, names, upper, work, flags)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS):
            raise
        mount(source, target, layers, names, upper, work, flags)
        return
    try:
        syscalls.move_mount(descriptor, target)
    finally:
        os.close(descriptor)
