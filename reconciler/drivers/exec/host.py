"""What this host gives: read once, when the driver probes."""

from __future__ import annotations

import resource
from pathlib import Path

from reconciler.drivers.exec import capabilities, cgroups, groups, oci, runtime

_MOUNT_SETATTR = (5, 12)


def facts(tool: runtime.Runtime, where: groups.Groups, kernel: tuple[int, int]) -> oci.Host:
    layout = where.layout
    return oci.Host(
        runtime=tool.kind,
        cgroup=layout.mode,
        slice=where.slice,
        systemd=where.systemd,
        open_files=open_files(),
        oom_score_adj=_number("/proc/self/oom_score_adj", 0),
        swap=accounts_swap(layout),
        recursive_read_only=kernel >= _MOUNT_SETATTR and tool.mounts_recursively_read_only(),
        controllers=cgroups.supported(layout, ("cpu", "memory", "pids")),
        capabilities=capabilities.available(),
    )


def layout() -> cgroups.Layout:
    return cgroups.detect(Path("/proc/self/mountinfo").read_text(errors="surrogateescape"))


def open_files() -> int:
    """The hard limit of open files that this process may give: its own, or any where it has CAP_SYS_RESOURCE."""
    if "SYS_RESOURCE" in capabilities.available():
        return _number("/proc/sys/fs/nr_open", oci.OPEN_FILES)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return oci.OPEN_FILES if hard == resource.RLIM_INFINITY else hard


def accounts_swap(layout: cgroups.Layout) -> bool:
    """Whether memory groups have a swap limit; the root group of v2 has none, so any child tells."""
    if layout.mode == "v2":
        return any(Path(layout.hierarchies[""]).glob("*/memory.swap.max"))
    memory = layout.hierarchies.get("memory")
    return memory is not None and Path(memory, "memory.memsw.limit_in_bytes").exists()


def warnings(given: oci.Host) -> tuple[str, ...]:
    """What a container gets less of here than it should."""
    found: list[str] = []
    if given.open_files < oci.OPEN_FILES:
        found.append(
            f"containers get at most {given.open_files} open files instead of {oci.OPEN_FILES}: that is the "
            "daemon's own limit, and it has no CAP_SYS_RESOURCE to raise it (systemd: LimitNOFILE=1048576)"
        )
    lacking = [name for name in ("cpu", "memory", "pids") if name not in given.controllers]
    if lacking:
        found.append(f"this host's cgroups offer no {' and no '.join(lacking)} controller: such limits are refused")
    return tuple(found)


def _number(path: str, default: int) -> int:
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):
        return default
