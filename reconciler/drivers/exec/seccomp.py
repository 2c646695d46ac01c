"""The system call filter: a profile as podman and Docker write it, resolved for a machine and a set of capabilities.

The profile's format (``archMap``, ``syscalls`` with ``includes`` and ``excludes``) is the one of
containers/common's ``seccomp.json``; the result is the ``linux.seccomp`` member of an OCI configuration.
"""

from __future__ import annotations

import errno
import platform
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from reconciler.errors import Permanent

DEFAULT_PROFILE = "/usr/share/containers/seccomp.json"
#: machine (uname) → the name profiles use, and libseccomp's
_MACHINES = {
    "x86_64": ("amd64", "SCMP_ARCH_X86_64"),
    "i686": ("x86", "SCMP_ARCH_X86"),
    "aarch64": ("arm64", "SCMP_ARCH_AARCH64"),
    "armv7l": ("arm", "SCMP_ARCH_ARM"),
    "ppc64le": ("ppc64le", "SCMP_ARCH_PPC64LE"),
    "s390x": ("s390x", "SCMP_ARCH_S390X"),
    "riscv64": ("riscv64", "SCMP_ARCH_RISCV64"),
}
#: left out: no image is built for it, most kernels do not run it, and with it the filter takes twice as long to
#: compile at each start. A filter without it kills a process that makes an x32 call.
_LEFT_OUT = frozenset({"SCMP_ARCH_X32"})

Json = dict[str, Any]


class Machine(msgspec.Struct, frozen=True):
    """``name`` as uname tells it (``x86_64``), ``kernel`` major and minor version."""

    name: str
    kernel: tuple[int, int]


@lru_cache(maxsize=1)
def this_machine() -> Machine:
    uname = platform.uname()
    return Machine(name=uname.machine, kernel=_version(uname.release.split("-")[0]))


@lru_cache(maxsize=64)
def default(capabilities: frozenset[str], machine: Machine, path: str = DEFAULT_PROFILE) -> Json:
    """The default filter for a process bounded by ``capabilities`` (names with ``CAP_``). Not to be altered: it is
    shared. Raises ``Permanent`` when the profile cannot be read: no container runs unfiltered for that."""
    try:
        profile = msgspec.json.decode(Path(path).read_bytes())
        return resolve(profile, capabilities, machine)
    except (OSError, msgspec.DecodeError, KeyError, TypeError) as error:
        raise Permanent(
            f"the seccomp profile {path} cannot be used: {error} (on Debian it comes with the package "
            "golang-github-containers-common)"
        ) from error


def resolve(profile: Json, capabilities: frozenset[str], machine: Machine) -> Json:
    """The rules of ``profile`` that apply, as ``linux.seccomp``."""
    short, native = _MACHINES.get(machine.name, (machine.name, f"SCMP_ARCH_{machine.name.upper()}"))
    rules = [_rule(rule) for rule in profile["syscalls"] if _applies(rule, short, capabilities, machine.kernel)]
    result: Json = {
        "defaultAction": profile["defaultAction"],
        "architectures": _architectures(profile, native),
        "syscalls": rules,
    }
    number = _errno(profile.get("defaultErrno"), profile.get("defaultErrnoRet"))
    return result if number is None else {**result, "defaultErrnoRet": number}


def _architectures(profile: Json, native: str) -> list[str]:
    names = [native]
    for entry in profile.get("archMap") or ():
        if entry["architecture"] == native:
            names += entry.get("subArchitectures") or []
    return [name for name in names if name not in _LEFT_OUT]


def _applies(rule: Json, machine: str, capabilities: frozenset[str], kernel: tuple[int, int]) -> bool:
    includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
    if includes.get("arches") and machine not in includes["arches"]:
        return False
    if not capabilities.issuperset(includes.get("caps") or ()):
        return False
    if includes.get("minKernel") and kernel < _version(includes["minKernel"]):
        return False
    if machine in (excludes.get("arches") or ()) or not capabilities.isdisjoint(excludes.get("caps") or ()):
        return False
    return not (excludes.get("minKernel") and kernel >= _version(excludes["minKernel"]))


def _version(text: str) -> tuple[int, int]:
    major, minor = text.split(".")[:2]
    return int(major), int(minor)


def _rule(rule: Json) -> Json:
    names = rule.get("names") or [rule["name"]]
    result: Json = {"names": names, "action": rule["action"]}
    number = _errno(rule.get("errno"), rule.get("errnoRet"))
    if number is not None:
        result["errnoRet"] = number
    if rule.get("args"):
        result["args"] = [
            {key: arg[key] for key in ("index", "value", "valueTwo", "op") if key in arg} for arg in rule["args"]
        ]
    return result


def _errno(name: str | None, number: int | None) -> int | None:
    return int(getattr(errno, name)) if name else number
