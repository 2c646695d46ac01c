"""What the OCI runtime is told: a container's configuration as ``config.json``. Pure.

The format is the OCI runtime specification's (1.0.2). Defaults are Docker's: its mounts, devices, masked and read-only
paths and capabilities; besides, no_new_privs is always on. Labels do not get here: some runtimes take annotations
for orders (crun: ``run.oci.*``), and an image's labels are a stranger's.
"""

from __future__ import annotations

import posixpath
import re
from typing import Any

import msgspec

from reconciler.drivers.exec import base, capabilities, cgroups, limits, users
from reconciler.errors import Permanent

Json = dict[str, Any]

DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: open files a process may have, where the daemon may give that many
OPEN_FILES = 1_048_576

MASKED_PATHS = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
READ_ONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
#: in a network namespace of its own a container may bind any port and ping without a capability, as with Docker
NETWORK_SYSCTLS = {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"}

_FILE_OPTIONS = ["nosuid", "nodev", "noexec"]
_DESCRIPTORS = re.compile(r"/proc/[^/]+/(task/[^/]+/)?(fd|fdinfo|map_files|cwd|root)(/|$)")


class Host(msgspec.Struct, frozen=True):
    """What the configuration depends on besides the container: the runtime, the cgroups, the daemon's own bounds.

    ``open_files`` is the hard RLIMIT_NOFILE the daemon may give; ``oom_score_adj`` its own; ``swap`` whether memory
    cgroups account swap; ``systemd`` whether systemd makes the cgroups; ``slice`` the instance's slice.
    ``recursive_read_only``: the runtime and the kernel know the mount option ``rro``. ``controllers``: those among cpu,
    memory and pids that the host's cgroups offer.
    """

    runtime: str
    cgroup: cgroups.Mode
    slice: str
    systemd: bool = False
    open_files: int = OPEN_FILES
    oom_score_adj: int = 0
    swap: bool = True
    recursive_read_only: bool = True
    controllers: tuple[str, ...] = ("cpu", "memory", "pids")
    capabilities: frozenset[str] = frozenset(capabilities.KNOWN)


def check(config: base.ContainerConfig) -> None:
    """Raises ``Permanent`` for what no runtime can run: the sentence says which part and why."""
    if not config.argv or not config.argv[0]:
        raise Permanent("no command: neither the image nor the manifest says what to run")
    for what, values in (("argument", config.argv), ("environment variable", config.env)):
        for value in values:
            _check_text(value, what)
    for entry in config.env:
        if "=" not in entry[1:]:
            raise Permanent(f"environment variable {entry[:60]!r} is not of the form NAME=VALUE")
    for what, path in (("working directory", config.cwd), ("root", config.rootfs), ("log path", config.log_path)):
        _check_text(path, what)
    if _DESCRIPTORS.match(working_directory(config.cwd) + "/"):
        raise Permanent(f"working directory {config.cwd!r} is a way out of the container")
    for target in (*(mount.target for mount in config.mounts), *config.files):
        _check_text(target, "mount path")
        if not target.startswith("/") or posixpath.normpath(target) in ("/", "//"):
            raise Permanent(f"mount path {target!r} must be an absolute path below /")


def _check_text(value: str, what: str) -> None:
    if "\0" in value:
        raise Permanent(f"{what} {value[:60]!r} holds a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise Permanent(f"{what} {value[:60]!r} is not valid Unicode") from error


def working_directory(cwd: str) -> str:
    """Absolute and without ``..``: an image may say ``app`` or ``/a/../b``."""
    return posixpath.normpath("/" + cwd.lstrip("/")) if cwd else "/"


def config_json(
    config: base.ContainerConfig, identity: users.Identity, host: Host, seccomp: object, file_sources: dict[str, str]
) -> Json:
    """The whole ``config.json``. ``seccomp`` becomes ``linux.seccomp``; ``file_sources`` maps a target of
    ``config.files`` to the host's file that holds its text."""
    return {
        "ociVersion": "1.0.2",
        "process": _process(config, identity, host),
        "root": {"path": config.rootfs, "readonly": config.read_only},
        "hostname": config.hostname or config.id[:12],
        "mounts": _mounts(config, host, file_sources),
        # without this crun would put the process one group deeper than runc does
        "annotations": {"run.oci.systemd.subgroup": ""} if host.systemd and host.runtime == "crun" else {},
        "linux": _linux(config, host, seccomp),
    }


def bounding(config: base.ContainerConfig, host: Host) -> frozenset[str]:
    """The capabilities (``CAP_`` names) the container's processes can ever have."""
    return capabilities.resolve(config.cap_add, config.cap_drop, host.capabilities)


def _process(config: base.ContainerConfig, identity: users.Identity, host: Host) -> Json:
    names = capabilities.ordered(bounding(config, host))
    own = names if identity.uid == 0 else []
    files = min(OPEN_FILES, host.open_files)
    return {
        "terminal": False,
        "user": {"uid": identity.uid, "gid": identity.gid, "additionalGids": list(identity.groups)},
        "args": list(config.argv),
        "env": environment(config, identity),
        "cwd": working_directory(config.cwd),
        "capabilities": {"bounding": names, "effective": own, "permitted": own},
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": files, "hard": files}],
        "noNewPrivileges": True,
        # raising it is always allowed, lowering it is not
        "oomScoreAdj": max(0, host.oom_score_adj),
    }


def environment(config: base.ContainerConfig, identity: users.Identity) -> list[str]:
    """The variables as given, and those that every program expects where they are missing."""
    present = {entry.partition("=")[0] for entry in config.env}
    expected = (DEFAULT_PATH, f"HOSTNAME={config.hostname or config.id[:12]}", f"HOME={identity.home or '/'}")
    return [entry for entry in expected if entry.partition("=")[0] not in present] + list(config.env)


def _linux(config: base.ContainerConfig, host: Host, seccomp: object) -> Json:
    namespaces: list[Json] = [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")]
    if host.cgroup == "v2":
        namespaces.append({"type": "cgroup"})
    if config.netns:
        namespaces.append({"type": "network", "path": config.netns})
    return {
        "namespaces": namespaces,
        "sysctl": dict(NETWORK_SYSCTLS) if config.netns else {},
        "cgroupsPath": f"{host.slice}:pydock:{config.id}" if host.systemd else f"/{host.slice}/{config.id}",
        "resources": _resources(config.limits, host),
        # nothing that is mounted or unmounted on the host later is seen inside, and the reverse
        "rootfsPropagation": "rprivate",
        "maskedPaths": list(MASKED_PATHS),
        "readonlyPaths": list(READ_ONLY_PATHS),
        "seccomp": seccomp,
    }


def _resources(wanted: base.Limits, host: Host) -> Json:
    values = {"cpu": wanted.cpu_millis, "memory": wanted.memory, "pids": wanted.pids}
    for controller, value in values.items():
        if value and controller not in host.controllers:
            raise Permanent(f"this host's cgroups have no {controller} controller: the limit cannot be set")
    # the runtime itself lets in the few harmless devices that it makes
    resources: Json = {"devices": [{"allow": False, "access": "rwm"}]}
    if wanted.pids or (host.runtime == "runc" and "pids" in host.controllers):
        # said outright, or systemd would put its own limit there; crun takes no -1
        resources["pids"] = {"limit": limits.starting_pids(wanted.pids) or -1}
    if wanted.memory:
        resources["memory"] = {"limit": wanted.memory, **({"swap": wanted.memory} if host.swap else {})}
    if wanted.cpu_millis:
        resources["cpu"] = {"quota": limits.cpu_quota(wanted.cpu_millis), "period": limits.CPU_PERIOD}
    return resources


def _mounts(config: base.ContainerConfig, host: Host, file_sources: dict[str, str]) -> list[Json]:
    own = {posixpath.normpath(mount.target): _mount(mount, host) for mount in config.mounts}
    for target, source in file_sources.items():
        mode = "ro" if config.read_only else "rw"
        own.setdefault(posixpath.normpath(target), _bind(source, target, ["bind", "rprivate", mode, *_FILE_OPTIONS]))
    default = [mount for mount in _default_mounts() if not _replaced(mount["destination"], own)]
    return default + [own[target] for target in sorted(own, key=lambda path: path.count("/"))]


def _replaced(target: str, own: dict[str, Json]) -> bool:
    """A mount of the user's takes the place of a default one, and of all below /dev when it is /dev."""
    return target in own or ("/dev" in own and target.startswith("/dev/"))


def _mount(mount: base.BindMount | base.TmpfsMount, host: Host) -> Json:
    if isinstance(mount, base.TmpfsMount):
        options = ["nosuid", "nodev", "mode=1777", "ro" if mount.read_only else "rw"]
        return {
            "destination": mount.target,
            "type": "tmpfs",
            "source": "tmpfs",
            "options": options + ([f"size={mount.size}"] if mount.size else []),
        }
    read_only = "rro" if host.recursive_read_only else "ro"
    return _bind(mount.source, mount.target, ["rbind", "rprivate", read_only if mount.read_only else "rw"])


def _bind(source: str, target: str, options: list[str]) -> Json:
    return {"destination": target, "type": "bind", "source": source, "options": options}


def _default_mounts() -> list[Json]:
    quiet = ["nosuid", "noexec", "nodev"]
    rows: tuple[tuple[str, str, list[str]], ...] = (
        ("/proc", "proc", quiet),
        ("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        ("/dev/pts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
        ("/dev/shm", "tmpfs", [*quiet, "mode=1777", "size=65536k"]),
        ("/dev/mqueue", "mqueue", quiet),
        ("/sys", "sysfs", [*quiet, "ro"]),
        ("/sys/fs/cgroup", "cgroup", [*quiet, "relatime", "ro"]),
    )
    return [{"destination": target, "type": kind, "source": kind, "options": options} for target, kind, options in rows]
