"""Trying a runtime for real: one short container with the full default configuration, gone again afterwards."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec

from reconciler.drivers.exec import base, cgroups, groups, oci, runtime, seccomp, users
from reconciler.errors import Permanent

#: the id of the container that is tried; never one of the caller's
ID = "probe"
#: the host's own programs and libraries, shown read-only to the trial
_HOST_DIRECTORIES = ("/usr", "/bin", "/lib", "/lib32", "/lib64", "/nix")
_TIMEOUT = 5.0


def attempt(tool: runtime.Runtime, host: oci.Host, where: groups.Groups, directory: Path) -> None:
    """Runs the host's ``true`` in a container. Raises ``Permanent`` with the runtime's words when it cannot."""
    bundle = directory / ID
    flags = [tool.path, f"--root={directory / 'runtime'}", *(("--systemd-cgroup",) if where.systemd else ())]
    _clean(flags, bundle, where)
    try:
        config = _config(bundle / "rootfs")
        filters = seccomp.default(oci.bounding(config, host), seccomp.this_machine())
        document = oci.config_json(config, users.Identity(uid=0, gid=0), host, filters, {})
        (bundle / "config.json").write_bytes(msgspec.json.encode(document))
        runtime.call([*flags, "run", f"--bundle={bundle}", ID])
    finally:
        _clean(flags, bundle, where)


def _config(rootfs: Path) -> base.ContainerConfig:
    program = shutil.which("true", path="/usr/bin:/bin") or "/bin/true"
    rootfs.mkdir(parents=True)
    mounts: list[base.BindMount] = []
    for path in _HOST_DIRECTORIES:
        if os.path.islink(path):
            (rootfs / path[1:]).symlink_to(os.readlink(path))
        elif os.path.isdir(path):
            mounts.append(base.BindMount(source=path, target=path, read_only=True))
    return base.ContainerConfig(
        id=ID,
        rootfs=str(rootfs),
        argv=(program,),
        env=(),
        cwd="/",
        user="",
        hostname=ID,
        netns="",
        log_path="",
        mounts=tuple(mounts),
    )


def _clean(flags: list[str], bundle: Path, where: groups.Groups) -> None:
    """Also what a trial left that was cut off."""
    if (bundle.parent / "runtime" / ID).exists():
        try:
            runtime.call([*flags, "delete", "--force", ID])
        except Permanent:
            shutil.rmtree(bundle.parent / "runtime" / ID, ignore_errors=True)
    cgroups.remove(where.layout, where.container(ID), _TIMEOUT)
    shutil.rmtree(bundle, ignore_errors=True)
