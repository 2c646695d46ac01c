"""Profiles with conditions become plain filters for one machine and one set of capabilities."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.drivers.exec import capabilities, seccomp
from reconciler.errors import Permanent

AMD64 = seccomp.Machine("x86_64", (6, 1))
ARM64 = seccomp.Machine("aarch64", (6, 1))
CAPS = frozenset(f"CAP_{name}" for name in capabilities.DEFAULT)


def rule(*names: str, **more: Any) -> dict[str, Any]:
    return {"names": list(names), "action": "SCMP_ACT_ALLOW", "includes": {}, "excludes": {}, **more}


def profile(*rules: dict[str, Any]) -> dict[str, Any]:
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 38,
        "archMap": [
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
        ],
        "syscalls": list(rules),
    }


def names(document: dict[str, Any]) -> list[str]:
    return [name for entry in document["syscalls"] for name in entry["names"]]


def test_a_whole_filter() -> None:
    found = seccomp.resolve(
        profile(
            rule("read", "write", comment="x"),
            rule("socket", args=[{"index": 0, "value": 16, "valueTwo": 0, "op": "SCMP_CMP_NE", "x": 1}]),
            rule("bpf", action="SCMP_ACT_ERRNO", errnoRet=1, errno="EPERM", args=None),
            rule("vm86", action="SCMP_ACT_ERRNO", errnoRet=22),
        ),
        CAPS,
        AMD64,
    )
    assert found == {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 38,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
        "syscalls": [
            {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"},
            {
                "names": ["socket"],
                "action": "SCMP_ACT_ALLOW",
                "args": [{"index": 0, "value": 16, "valueTwo": 0, "op": "SCMP_CMP_NE"}],
            },
            {"names": ["bpf"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
            {"names": ["vm86"], "action": "SCMP_ACT_ERRNO", "errnoRet": 22},
        ],
    }


@pytest.mark.parametrize(
    ("conditions", "applies"),
    [
        ({"includes": {"arches": ["amd64", "x32"]}}, True),
        ({"includes": {"arches": ["arm64"]}}, False),
        ({"excludes": {"arches": ["amd64"]}}, False),
        ({"excludes": {"arches": ["arm64"]}}, True),
        ({"includes": {"caps": ["CAP_CHOWN"]}}, True),
        ({"includes": {"caps": ["CAP_CHOWN", "CAP_SYS_ADMIN"]}}, False),
        ({"excludes": {"caps": ["CAP_SYS_ADMIN"]}}, True),
        ({"excludes": {"caps": ["CAP_SYS_ADMIN", "CAP_CHOWN"]}}, False),
        ({"includes": {"minKernel": "4.8"}}, True),
        ({"includes": {"minKernel": "6.2"}}, False),
        ({"excludes": {"minKernel": "4.8"}}, False),
        ({"excludes": {"minKernel": "6.2"}}, True),
        ({"includes": None, "excludes": None}, True),
    ],
)
def test_conditions(conditions: dict[str, Any], applies: bool) -> None:
    found = seccomp.resolve(profile(rule("chosen", **conditions)), CAPS, AMD64)
    assert names(found) == (["chosen"] if applies else [])


def test_another_machine_gets_its_own_architectures() -> None:
    found = seccomp.resolve(profile(rule("arm_only", includes={"arches": ["arm64"]})), CAPS, ARM64)
    assert found["architectures"] == ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]
    assert names(found) == ["arm_only"]


def test_the_default_profile_opens_with_capabilities() -> None:
    plain = seccomp.default(CAPS, AMD64)
    admin = seccomp.default(CAPS | {"CAP_SYS_ADMIN"}, AMD64)

    def action(document: dict[str, Any], name: str) -> set[str]:
        return {entry["action"] for entry in document["syscalls"] if name in entry["names"]}

    assert action(plain, "bpf") == {"SCMP_ACT_ERRNO"}
    assert action(admin, "bpf") == {"SCMP_ACT_ALLOW"}
    assert action(plain, "kexec_load") == action(admin, "kexec_load") == {"SCMP_ACT_ERRNO"}
    assert action(plain, "read") == {"SCMP_ACT_ALLOW"}
    assert plain["defaultAction"] == "SCMP_ACT_ERRNO"
    assert seccomp.default(CAPS, AMD64) is plain


@pytest.mark.parametrize("text", [None, "", "{", "{}", "[]", '{"syscalls": [{}]}'])
def test_a_profile_that_cannot_be_used_stops_everything(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "seccomp.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(Permanent, match="golang-github-containers-common"):
        seccomp.default(CAPS, AMD64, str(path))
