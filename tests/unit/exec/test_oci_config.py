"""What the runtimes are told, compared with whole texts: runc's and crun's, on every cgroup layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from reconciler.drivers.exec import base, oci, users
from reconciler.errors import Permanent

GOLDEN = Path(__file__).parent / "golden"

CONFIG = base.ContainerConfig(
    id="0123456789abcdef",
    rootfs="/var/lib/pydock/graph/0123456789abcdef",
    argv=("nginx", "-g", "daemon off;"),
    env=("COLOR=blue",),
    cwd="srv/../srv/www",
    user="web",
    hostname="web",
    netns="/run/pydock/netns/1",
    log_path="/var/lib/pydock/logs/1/log",
    mounts=(
        base.BindMount("/srv/data", "/data/inner", read_only=True),
        base.BindMount("/srv/plain", "/data"),
        base.TmpfsMount("/dev/shm", size=1 << 20),
    ),
    files={"/etc/hosts": "127.0.0.1 localhost\n"},
    cap_add=("NET_ADMIN",),
    cap_drop=("MKNOD", "AUDIT_WRITE"),
    limits=base.Limits(cpu_millis=1500, memory=64 << 20, pids=100),
    labels={"run.oci.hooks.stdout": "/etc/passwd"},
)
WEB = users.Identity(uid=1000, gid=1001, groups=(2000,), home="/home/web")
ROOT = users.Identity(uid=0, gid=0)
HOST = oci.Host(runtime="runc", cgroup="v1", slice="pydock-main.slice")
HOSTS = {
    "runc-v1": HOST,
    "runc-hybrid": msgspec.structs.replace(HOST, cgroup="hybrid", open_files=20000, oom_score_adj=-500),
    "runc-v2": msgspec.structs.replace(HOST, cgroup="v2"),
    "runc-v2-systemd": msgspec.structs.replace(HOST, cgroup="v2", systemd=True),
    "crun-v1": msgspec.structs.replace(HOST, runtime="crun", swap=False, recursive_read_only=False),
    "crun-v2": msgspec.structs.replace(HOST, runtime="crun", cgroup="v2"),
    "crun-v2-systemd": msgspec.structs.replace(HOST, runtime="crun", cgroup="v2", systemd=True),
}
SECCOMP = {"defaultAction": "SCMP_ACT_ERRNO"}
SOURCES = {"/etc/hosts": "/run/pydock/exec/main/runs/0123456789abcdef/file0"}


def build(config: base.ContainerConfig, identity: users.Identity, host: oci.Host) -> dict[str, Any]:
    return oci.config_json(config, identity, host, SECCOMP, SOURCES)


@pytest.mark.parametrize("name", sorted(HOSTS))
def test_the_whole_configuration(name: str) -> None:
    text = json.dumps(build(CONFIG, WEB, HOSTS[name]), indent=1) + "\n"
    assert text == (GOLDEN / f"{name}.json").read_text()


def test_every_golden_file_is_compared() -> None:
    assert {path.stem for path in GOLDEN.glob("*.json")} == set(HOSTS)


def change(**changes: Any) -> base.ContainerConfig:
    return msgspec.structs.replace(CONFIG, **changes)


def test_a_plain_container_has_no_limits_network_or_extra_mounts() -> None:
    plain = base.ContainerConfig("a", "/r", ("true",), (), "", "", "", "", "/log")
    document = oci.config_json(plain, ROOT, HOST, SECCOMP, {})
    linux = document["linux"]
    assert linux["resources"] == {"devices": [{"allow": False, "access": "rwm"}], "pids": {"limit": -1}}
    assert [namespace["type"] for namespace in linux["namespaces"]] == ["pid", "ipc", "uts", "mount"]
    assert linux["sysctl"] == {}
    assert document["hostname"] == "a"
    assert document["process"]["cwd"] == "/"
    assert document["process"]["env"] == [oci.DEFAULT_PATH, "HOSTNAME=a", "HOME=/"]
    assert [mount["destination"] for mount in document["mounts"]] == [
        "/proc",
        "/dev",
        "/dev/pts",
        "/dev/shm",
        "/dev/mqueue",
        "/sys",
        "/sys/fs/cgroup",
    ]


def test_crun_is_told_of_no_pids_limit_by_silence() -> None:
    plain = change(limits=base.Limits())
    assert "pids" not in build(plain, ROOT, HOSTS["crun-v2"])["linux"]["resources"]


def test_the_security_that_never_goes_away() -> None:
    for host in HOSTS.values():
        document = build(change(cap_add=("ALL",)), ROOT, host)
        assert document["process"]["noNewPrivileges"] is True
        assert document["linux"]["seccomp"] == SECCOMP
        assert "/proc/kcore" in document["linux"]["maskedPaths"]
        assert "/proc/sys" in document["linux"]["readonlyPaths"]
        assert document["linux"]["rootfsPropagation"] == "rprivate"
        assert document["linux"]["resources"]["devices"] == [{"allow": False, "access": "rwm"}]
        assert "hooks" not in document


def test_labels_never_reach_the_runtime() -> None:
    for host in HOSTS.values():
        assert "run.oci.hooks" not in json.dumps(build(CONFIG, WEB, host))


def test_root_has_its_capabilities_and_others_only_their_bound() -> None:
    root = build(change(cap_add=(), cap_drop=()), ROOT, HOST)["process"]["capabilities"]
    web = build(change(cap_add=(), cap_drop=()), WEB, HOST)["process"]["capabilities"]
    assert root["bounding"] == root["effective"] == root["permitted"]
    assert len(root["bounding"]) == 14
    assert web == {"bounding": root["bounding"], "effective": [], "permitted": []}


def test_the_root_can_be_read_only() -> None:
    assert build(change(read_only=True), ROOT, HOST)["root"]["readonly"] is True
    assert build(CONFIG, ROOT, HOST)["root"]["readonly"] is False


def test_a_mount_of_the_users_replaces_files_and_default_mounts() -> None:
    mounts = (
        base.BindMount("/a", "/etc/hosts"),
        base.BindMount("/d", "/dev/"),
        base.TmpfsMount("/run", read_only=True),
    )
    document = build(change(mounts=mounts), ROOT, HOST)
    rows = {mount["destination"]: mount for mount in document["mounts"]}
    assert rows["/etc/hosts"]["source"] == "/a"
    assert [name for name in rows if name.startswith("/dev")] == ["/dev/"]
    assert rows["/run"]["options"] == ["nosuid", "nodev", "mode=1777", "ro"]


def test_a_limit_whose_controller_is_missing_is_refused() -> None:
    host = msgspec.structs.replace(HOST, controllers=("cpu",))
    with pytest.raises(Permanent, match="no memory controller"):
        build(change(limits=base.Limits(memory=1 << 20)), ROOT, host)
    with pytest.raises(Permanent, match="no pids controller"):
        build(change(limits=base.Limits(pids=5)), ROOT, host)
    assert "pids" not in build(change(limits=base.Limits()), ROOT, host)["linux"]["resources"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("", "/"),
        ("/", "/"),
        ("//", "/"),
        ("app", "/app"),
        ("/a/../../b/.", "/b"),
        ("../../../etc", "/etc"),
        ("//host/share", "/host/share"),
    ],
)
def test_the_working_directory(wanted: str, found: str) -> None:
    assert oci.working_directory(wanted) == found


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"argv": ()}, "no command"),
        ({"argv": ("",)}, "no command"),
        ({"argv": ("a", "b\0c")}, "argument .* NUL"),
        ({"argv": ("a", "\ud800")}, "argument .* not valid Unicode"),
        ({"env": ("A=\0",)}, "environment variable .* NUL"),
        ({"env": ("A",)}, "'A' is not of the form NAME=VALUE"),
        ({"env": ("=x",)}, "not of the form"),
        ({"cwd": "/a\0"}, "working directory .* NUL"),
        ({"cwd": "/proc/self/fd/7"}, "way out"),
        ({"cwd": "/proc/self/fd"}, "way out"),
        ({"cwd": "/proc/1/task/1/fd/9"}, "way out"),
        ({"cwd": "/proc/1/root/etc"}, "way out"),
        ({"mounts": (base.TmpfsMount("tmp"),)}, "must be an absolute path"),
        ({"mounts": (base.TmpfsMount("/"),)}, "below /"),
        ({"mounts": (base.TmpfsMount("/a/.."),)}, "below /"),
        ({"files": {"etc/hosts": ""}}, "must be an absolute path"),
    ],
)
def test_what_no_runtime_can_run_is_refused_in_a_sentence(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(Permanent, match=words):
        oci.check(change(**changes))


def test_an_ordinary_configuration_passes() -> None:
    oci.check(CONFIG)
    oci.check(change(cwd="/proc", env=("A=", "B=c=d")))


def test_files_of_ours_are_writable_unless_the_root_is_read_only() -> None:
    def options(**changes: object) -> list[str]:
        mounts = build(change(**changes), ROOT, HOST)["mounts"]
        return next(list(each["options"]) for each in mounts if each["destination"] == "/etc/hosts")

    assert "rw" in options()
    assert "ro" in options(read_only=True)
