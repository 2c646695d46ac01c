"""What a container's process can see and do, asked from inside."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest

from reconciler.drivers.exec import base, oci, pids
from reconciler.errors import Permanent
from reconciler.testing.exec_bench import RealBench
from reconciler.testing.exec_suite import SLEEP, run

#: bits of CapBnd for Docker's fourteen
DOCKER_CAPABILITIES = "00000000a80425fb"


def status(text: str) -> dict[str, str]:
    return {key: value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}


def test_capabilities_seccomp_and_no_new_privileges(bench: RealBench) -> None:
    found = status(bench.output("cat /proc/self/status"))
    assert found["CapBnd"] == found["CapEff"] == found["CapPrm"] == DOCKER_CAPABILITIES
    assert found["CapInh"] == found["CapAmb"] == "0000000000000000"
    assert found["NoNewPrivs"] == "1"
    assert found["Seccomp"] == "2"


def test_another_user_has_no_capability_in_force(bench: RealBench) -> None:
    found = status(bench.output("cat /proc/self/status", user="web"))
    assert found["CapEff"] == found["CapPrm"] == "0000000000000000"
    assert found["CapBnd"] == DOCKER_CAPABILITIES
    assert found["Uid"].split() == ["1000"] * 4
    assert found["Gid"].split() == ["1001"] * 4
    assert found["Groups"].split() == ["2000"]


def test_added_and_dropped_capabilities(bench: RealBench) -> None:
    found = status(bench.output("cat /proc/self/status", cap_add=("NET_ADMIN",), cap_drop=("ALL",)))
    assert int(found["CapEff"], 16) == 1 << 12
    with pytest.raises(Permanent, match="SYS_RESOURCE"):
        bench.output("true", cap_add=("SYS_RESOURCE",))


def test_filtered_calls(bench: RealBench) -> None:
    text = bench.output(
        "unshare -U true; echo $?; mount -t tmpfs x /tmp; echo $?; swapoff /x; date -s @0 >/dev/null; echo $?"
    )
    assert "Operation not permitted" in text or "not permitted" in text
    assert text.count("not permitted") >= 2


def test_masked_and_read_only_paths(bench: RealBench) -> None:
    text = bench.output(
        "wc -c </proc/timer_list; wc -c </proc/keys; ls /sys/firmware | wc -l; "
        "echo 1 >/proc/sys/kernel/panic; echo 1 >/sys/kernel/mm/ksm/run; mkdir /sys/fs/cgroup/pids/x"
    )
    assert text.splitlines()[:3] == ["0", "0", "0"]
    assert text.count("Read-only file system") == 3


def test_mounts_and_devices(bench: RealBench) -> None:
    text = bench.output("cat /proc/mounts; ls /dev; ls -l /proc/self/fd | wc -l; ls /proc | grep -c '^[0-9]'")
    for mount in ("/proc proc rw,nosuid,nodev,noexec", "/dev/mqueue mqueue", "/dev/shm tmpfs rw,nosuid,nodev,noexec"):
        assert mount in text
    devices = set(text.split())
    assert devices >= {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm", "mqueue", "stdout"}
    assert not devices & {"vda", "sda", "mem", "kmsg", "loop0", "fuse"}


def test_no_descriptor_and_no_variable_of_ours_gets_inside(bench: RealBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/secret.sock")
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("CANARY", "c4n4ry")
    ours = socket.socketpair()
    for end in ours:
        end.set_inheritable(True)
    driver = bench.open()
    try:
        text = bench.output("cd /proc/self/fd; for f in *; do readlink $f; done; env; ulimit -n")
        run(bench, driver, "one", *SLEEP)
        conmon = driver.conmon_process("one")
        assert conmon is not None
        held = {os.readlink(f"/proc/{conmon[0]}/fd/{name}") for name in os.listdir(f"/proc/{conmon[0]}/fd")}
        assert not held & {f"socket:[{os.fstat(end.fileno()).st_ino}]" for end in ours}
        environment = Path(f"/proc/{conmon[0]}/environ").read_bytes()
    finally:
        for end in ours:
            end.close()
    assert "socket:" not in text
    for secret in ("NOTIFY_SOCKET", "LISTEN_", "c4n4ry", "_OCI_"):
        assert secret not in text
    for secret in (b"NOTIFY_SOCKET", b"LISTEN_", b"c4n4ry"):
        assert secret not in environment


def test_namespaces_and_names(bench: RealBench) -> None:
    text = bench.output("hostname; echo $$; readlink /proc/self/ns/net; readlink /proc/self/ns/ipc", hostname="crate")
    name, pid, net, ipc = text.splitlines()
    assert (name, pid) == ("crate", "1")
    # without a netns of its own it shares ours
    assert net == os.readlink("/proc/self/ns/net")
    assert ipc != os.readlink("/proc/self/ns/ipc")


def test_environment_and_working_directory(bench: RealBench) -> None:
    text = bench.output("env | sort; pwd", env=("A=b=c", "HOME=/there"), cwd="new/dir", hostname="crate")
    lines = text.splitlines()
    assert {"A=b=c", "HOME=/there", "HOSTNAME=crate", oci.DEFAULT_PATH} <= set(lines)
    assert lines[-1] == "/new/dir"


def test_open_files_are_clamped_with_a_warning(bench: RealBench) -> None:
    hard = int(bench.output("ulimit -Hn"))
    import resource

    ours = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert hard == min(ours, oci.OPEN_FILES)
    warnings = bench.open().probe().warnings
    assert any(f"at most {ours} open files" in words for words in warnings) == (ours < oci.OPEN_FILES)


@pytest.fixture
def own_rootfs(tmp_path: Path, rootfs: Path) -> Path:
    """A root file system that a test may spoil."""
    return Path(shutil.copytree(rootfs, tmp_path / "spoiled", symlinks=True))


@pytest.mark.parametrize("name", ["dev", "proc", "sys"])
def test_a_link_in_the_place_of_a_system_directory_is_refused(
    bench: RealBench, own_rootfs: Path, tmp_path: Path, name: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    shutil.rmtree(own_rootfs / name, ignore_errors=True)
    (own_rootfs / name).symlink_to(outside)
    with pytest.raises(Permanent, match=f"/{name} of the image is not a directory"):
        bench.output("true", rootfs=str(own_rootfs))
    assert list(outside.iterdir()) == []
    assert bench.open().list() == ()


def test_a_working_directory_behind_a_link_is_made_inside(bench: RealBench, own_rootfs: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (own_rootfs / "work").symlink_to("/home")
    assert bench.output("pwd -P", rootfs=str(own_rootfs), cwd="/work/deep/er") == "/home/deep/er\n"
    (own_rootfs / "away").symlink_to(outside)
    with pytest.raises(Permanent, match="/away"):
        bench.output("pwd", rootfs=str(own_rootfs), cwd="/away/deep")
    assert list(outside.iterdir()) == []


def test_a_file_of_ours_lands_inside_whatever_the_image_links(
    bench: RealBench, own_rootfs: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (own_rootfs / "etc/resolv.conf").symlink_to(victim)
    text = bench.output(
        "cat /etc/resolv.conf", rootfs=str(own_rootfs), files={"/etc/resolv.conf": "nameserver 10.0.0.1\n"}
    )
    assert text == "nameserver 10.0.0.1\n"
    assert victim.read_text() == "untouched"


def test_mounts_of_the_user(bench: RealBench, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/file").write_text("content\n")
    mounts = (
        base.BindMount(str(tmp_path / "data"), "/ro/data", read_only=True),
        base.BindMount(str(tmp_path / "data"), "/rw"),
        base.TmpfsMount("/ro", size=1 << 20),
        base.TmpfsMount("/fixed", read_only=True),
    )
    text = bench.output(
        "cat /ro/data/file; echo x >/ro/data/new; echo y >/rw/new; echo z >/fixed/new; "
        "head -c 2000000 /dev/zero >/ro/big; wc -c </ro/big",
        mounts=mounts,
    )
    lines = text.splitlines()
    assert lines[0] == "content"
    assert sum("Read-only file system" in line for line in lines) == 2
    assert str(1 << 20) in lines
    assert (tmp_path / "data/new").read_text() == "y\n"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("missing", r"^mount /x: the host path \S+/missing is not there: make it on the host, such as with 'mkdir -p"),
        ("missing/deep/er", r"/missing/deep/er is not there \(\S+/missing is missing\)"),
        ("file/below", r"/file/below is below a file"),
    ],
)
def test_a_mount_whose_source_is_missing(bench: RealBench, tmp_path: Path, source: str, words: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Permanent, match=words):
        bench.output("true", mounts=(base.BindMount(str(tmp_path / source), "/x"),))


def test_a_file_and_a_directory_cannot_be_mounted_on_one_another(bench: RealBench, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Permanent, match=r"^mount /etc: the host path \S+/file is a file, and the image has"):
        bench.output("true", mounts=(base.BindMount(str(tmp_path / "file"), "/etc"),))
    with pytest.raises(Permanent, match=r"is a directory, and the image has a file there: correct mountPath"):
        bench.output("true", mounts=(base.BindMount(str(tmp_path), "/etc/passwd"),))


def test_dev_cannot_be_replaced(bench: RealBench) -> None:
    with pytest.raises(Permanent, match=r"^mount /dev: /dev holds the container's own devices"):
        bench.output("true", mounts=(base.TmpfsMount("/dev"),))


def test_a_read_only_root(bench: RealBench) -> None:
    text = bench.output("echo x >/fresh; echo y >/dev/shm/new && echo fine", read_only=True)
    assert "Read-only file system" in text
    assert "fine" in text


def test_a_shared_network_namespace_is_joined(bench: RealBench, tmp_path: Path) -> None:
    import subprocess

    name = bench.instance
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        inside = bench.output(
            "readlink /proc/self/ns/net; cat /proc/sys/net/ipv4/ip_unprivileged_port_start", netns=f"/run/netns/{name}"
        )
        link, port = inside.splitlines()
        assert link == f"net:[{os.stat(f'/run/netns/{name}').st_ino}]"
        assert port == "0"
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


def test_nothing_foreign_is_signalled(bench: RealBench) -> None:
    """A record whose pid has gone to another process: no signal reaches it."""
    driver = bench.open()
    run(bench, driver, "one", *SLEEP)
    ours = os.posix_spawn("/bin/sleep", ["sleep", "1000"], {})
    try:
        from reconciler.drivers.exec import rundir

        record = rundir.Run(bench.base, "one")
        saved = record.record()
        assert saved is not None
        started = pids.start_time(ours)
        assert started is not None
        record.save(rundir.Record(ours, started - 1, ours, started - 1))
        driver.signal("one", 9)
        assert driver.conmon_process("one") is None
        assert driver.inspect("one").exit_reason == "unknown"
        driver.delete("one")
        assert os.waitpid(ours, os.WNOHANG) == (0, 0)
        assert not pids.alive(saved.pid, saved.pid_start)
        assert not pids.alive(saved.conmon, saved.conmon_start)
    finally:
        os.kill(ours, 9)
        os.waitpid(ours, 0)
