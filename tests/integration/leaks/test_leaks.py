"""The leak checker finds each kind of thing that may be left over, and nothing where nothing is."""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from reconciler.testing import leaks, runs


@pytest.fixture
def instance() -> str:
    return runs.instance()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("tmp", "blobs/sha256", "layers/1/etc", "snapshots", "netns"):
        (tmp_path / "root" / name).mkdir(parents=True)
    return tmp_path / "root"


@pytest.fixture
def find(instance: str, root: Path) -> Callable[[], list[str]]:
    """What has come or gone since the test began."""
    # what tests before have let go of is closed now, not between two looks
    gc.collect()
    before = leaks.snapshot(instance, [root], [os.getpid()])
    return lambda: leaks.compare(before, leaks.snapshot(instance, [root], [os.getpid()]))


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def _nft(text: str) -> None:
    subprocess.run(["nft", "-f", "-"], input=text, text=True, check=True)


def test_nothing_is_found_where_nothing_is(find: Callable[[], list[str]]) -> None:
    assert find() == []


@pytest.mark.parametrize("name", ["pdv0000test", "other0"])
def test_a_link(find: Callable[[], list[str]], instance: str, name: str) -> None:
    _run("ip", "link", "add", name, "type", "bridge")
    _run("ip", "link", "set", name, "alias", f"pydock:{instance}:container:u")
    found = find()
    _run("ip", "link", "del", name)
    assert any(line.startswith("left over in links: bridge ") and instance in line and name in line for line in found)
    assert find() == []


def test_an_address_and_its_route(find: Callable[[], list[str]]) -> None:
    _run("ip", "address", "add", "10.251.7.1/24", "dev", "lo")
    found = find()
    _run("ip", "address", "del", "10.251.7.1/24", "dev", "lo")
    assert any(line.startswith("left over in addresses: lo local=10.251.7.1 prefixlen=24") for line in found)
    assert any(line.startswith("left over in routes: -4 ") and "10.251.7.1" in line for line in found)


def test_a_route(find: Callable[[], list[str]]) -> None:
    _run("ip", "route", "add", "unreachable", "10.252.0.0/16")
    found = find()
    _run("ip", "route", "del", "unreachable", "10.252.0.0/16")
    assert [line for line in found if "type=unreachable dst=10.252.0.0/16" in line] == found != []


def test_a_rule_and_a_table_of_the_firewall(find: Callable[[], list[str]], instance: str) -> None:
    table = f"table ip pydock_{instance}"
    _nft(f"{table} {{ chain forward {{ type filter hook forward priority 0; ip saddr 10.0.0.1 counter drop; }}; }}")
    found = find()
    before = leaks.snapshot(instance)
    _nft(f"add rule ip pydock_{instance} forward ip saddr 10.0.0.2 counter drop")
    added = leaks.compare(before, leaks.snapshot(instance))
    _nft(f"delete {table}")
    assert f"left over in firewall: {table}" in found
    assert f"left over in firewall: {table} / chain forward / ip saddr 10.0.0.1 counter drop" in found
    assert added == [f"left over in firewall: {table} / chain forward / ip saddr 10.0.0.2 counter drop"]
    assert find() == []


def test_counters_of_the_firewall_do_not_count(instance: str) -> None:
    _nft(f"table ip pydock_{instance} {{ chain out {{ type filter hook output priority 0; counter; }}; }}")
    before = leaks.snapshot(instance)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"x", ("127.0.0.1", 9))
    assert leaks.compare(before, leaks.snapshot(instance)) == []
    _nft(f"delete table ip pydock_{instance}")


def test_a_network_setting(find: Callable[[], list[str]]) -> None:
    setting = Path("/proc/sys/net/ipv4/conf/lo/route_localnet")
    old = setting.read_text().strip()
    setting.write_text("1" if old == "0" else "0")
    found = find()
    setting.write_text(old)
    assert sorted(line.partition(":")[0] for line in found) == [
        "gone from network settings",
        "left over in network settings",
    ]
    assert all("net/ipv4/conf/lo/route_localnet = " in line for line in found)


def test_a_mount(find: Callable[[], list[str]], root: Path) -> None:
    point = root / "snapshots" / "s1"
    point.mkdir()
    _run("mount", "-t", "tmpfs", "leak", str(point))
    found = find()
    _run("umount", str(point))
    point.rmdir()
    assert f"left over in mounts: {point} is tmpfs / of leak" in found
    assert find() == []


def test_a_named_namespace(find: Callable[[], list[str]], root: Path) -> None:
    name = root / "netns" / "u1"
    name.touch()
    _run("unshare", "-n", "mount", "--bind", "/proc/self/ns/net", str(name))
    # unshare keeps the mount namespace: the mount is ours
    found = find()
    _run("umount", str(name))
    name.unlink()
    assert any(line.startswith(f"left over in namespaces: {name} holds net:[") for line in found)
    assert f"left over in files: {name} (file)" in found


@pytest.mark.parametrize("hierarchy", ["pids", "memory", "unified"])
def test_a_cgroup(find: Callable[[], list[str]], instance: str, hierarchy: str) -> None:
    group = Path("/sys/fs/cgroup", hierarchy, f"pydock-{instance}.slice", "c1")
    group.mkdir(parents=True)
    found = find()
    group.rmdir()
    group.parent.rmdir()
    path = f"{hierarchy}/pydock-{instance}.slice"
    assert found == [f"left over in cgroups: {path}", f"left over in cgroups: {path}/c1"]


@pytest.mark.parametrize("word", ["--name={root}/x", "{instance}"])
def test_a_process_by_its_command_line(find: Callable[[], list[str]], instance: str, root: Path, word: str) -> None:
    argument = word.format(instance=instance, root=root)
    child = subprocess.Popen([sys.executable, "-c", "input()", argument], stdin=subprocess.PIPE)
    found = find()
    child.communicate(b"\n")
    assert [line for line in found if line.startswith(f"left over in processes: {child.pid}: ") and argument in line]


def test_a_process_by_its_cgroup(find: Callable[[], list[str]], instance: str) -> None:
    group = Path("/sys/fs/cgroup/pids", f"pydock-{instance}.slice")
    group.mkdir()
    child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    (group / "cgroup.procs").write_text(str(child.pid))
    found = find()
    child.communicate()
    group.rmdir()
    assert f"left over in processes: {child.pid}: cat" in found


def test_a_child_that_nobody_waited_for(find: Callable[[], list[str]]) -> None:
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    found = find()
    child.wait()
    assert f"left over in processes: {child.pid} ended and was not waited for" in found


def test_a_descriptor(find: Callable[[], list[str]]) -> None:
    with socket.socket():
        found = find()
    assert found == ["left over in descriptors: socket:[N]"]


@pytest.mark.parametrize("name", ["tmp/partial", "blobs/sha256/abc", "layers/2/", "snapshots/s2/"])
def test_a_file(find: Callable[[], list[str]], root: Path, name: str) -> None:
    path = root / name
    path.mkdir() if name.endswith("/") else path.touch()
    found = find()
    assert found == [f"left over in files: {path} ({'directory' if name.endswith('/') else 'file'})"]


def test_what_is_inside_a_layer_is_the_images(find: Callable[[], list[str]], root: Path) -> None:
    (root / "layers" / "1" / "etc" / "passwd").touch()
    assert find() == []


def test_what_went_is_told_too(find: Callable[[], list[str]], root: Path) -> None:
    (root / "netns").rmdir()
    assert find() == [f"gone from files: {root / 'netns'} (directory)"]


def test_the_whole_host(instance: str, tmp_path: Path) -> None:
    group = Path("/sys/fs/cgroup/pids", f"pydock-{instance}.slice")
    point = tmp_path / "point"
    point.mkdir()
    before = leaks.snapshot(None)
    group.mkdir()
    _run("mount", "-t", "tmpfs", "leak", str(point))
    after = leaks.snapshot(None)
    group.rmdir()
    _run("umount", str(point))
    mine = [line for line in leaks.compare(before, after) if instance in line or str(point) in line]
    assert mine == [
        f"left over in mounts: {point} is tmpfs / of leak",
        f"left over in cgroups: pids/pydock-{instance}.slice",
    ]
    assert [line for line in leaks.compare(before, after, ignore=instance) if instance in line] == []


def test_a_footprint_can_be_kept_in_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "before.json"
    assert leaks.main(["save", str(path)]) == 0
    others = r"in cgroups|from cgroups"
    assert leaks.main(["compare", str(path), others]) == 0
    footprint = msgspec.json.decode(path.read_bytes(), type=leaks.Footprint)
    footprint.facets["links"].append("dummy ifname=gone0")
    path.write_bytes(msgspec.json.encode(footprint))
    assert leaks.main(["compare", str(path), others]) == 1
    assert capsys.readouterr().out == "gone from links: dummy ifname=gone0\n"
    assert leaks.main(["look"]) == 2
