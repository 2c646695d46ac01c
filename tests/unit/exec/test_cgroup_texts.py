"""Layouts are read from mountinfo; limits are what the kernel's files say, on v1 and on v2."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from reconciler.drivers.exec import base, cgroups, groups, limits
from reconciler.errors import Permanent, Temporary

V1 = """\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
99 31 0:37 / /somewhere/else rw,relatime - cgroup cgroup rw,freezer
"""
HYBRID = V1 + "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
V2 = "31 23 0:28 / /sys/fs/cgroup rw,nosuid,nodev - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"

SOME = base.Limits(cpu_millis=1500, memory=(64 << 20) + 1, pids=100)
NONE = base.Limits()


def test_v1() -> None:
    layout = cgroups.detect(V1)
    assert layout.mode == "v1"
    assert layout.hierarchies == {
        "cpu": "/sys/fs/cgroup/cpu,cpuacct",
        "cpuacct": "/sys/fs/cgroup/cpu,cpuacct",
        "memory": "/sys/fs/cgroup/memory",
        "pids": "/sys/fs/cgroup/pids",
        "name=systemd": "/sys/fs/cgroup/systemd",
    }
    assert len(layout.mounts()) == 4
    assert layout.directory("memory", "a/b") == "/sys/fs/cgroup/memory/a/b"
    assert layout.directory("blkio", "a/b") == ""


def test_hybrid() -> None:
    layout = cgroups.detect(HYBRID)
    assert layout.mode == "hybrid"
    assert layout.hierarchies[""] == "/sys/fs/cgroup/unified"
    assert layout.directory("memory", "a") == "/sys/fs/cgroup/memory/a"


def test_v2() -> None:
    layout = cgroups.detect(V2)
    assert layout == cgroups.Layout(mode="v2", hierarchies={"": "/sys/fs/cgroup"})
    assert layout.directory("memory", "a") == layout.directory("cpu", "a") == "/sys/fs/cgroup/a"


def test_no_cgroups() -> None:
    with pytest.raises(Permanent, match="no cgroup hierarchy is mounted"):
        cgroups.detect(V1.splitlines()[0])


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("pydock.slice", "pydock.slice"),
        ("pydock-main.slice", "pydock.slice/pydock-main.slice"),
        ("a-b-c.slice", "a.slice/a-b.slice/a-b-c.slice"),
    ],
)
def test_where_systemd_puts_a_slice(name: str, path: str) -> None:
    assert cgroups.slice_path(name) == path


def test_groups_made_by_us_and_by_systemd() -> None:
    layout = cgroups.detect(V2)
    ours, theirs = groups.Groups("main", layout, False), groups.Groups("main", layout, True)
    assert (ours.container("x1"), ours.conmon("x1")) == ("pydock-main.slice/x1", "pydock-main.slice/conmon-x1")
    assert theirs.container("x1") == "pydock.slice/pydock-main.slice/pydock-x1.scope"
    assert theirs.conmon("x1") == "pydock.slice/pydock-main.slice/pydock-conmon-x1.scope"


@pytest.mark.parametrize("systemd", [False, True])
def test_ids_are_found_again_in_the_groups(tmp_path: Path, systemd: bool) -> None:
    where = groups.Groups("main", cgroups.Layout(mode="v2", hierarchies={"": str(tmp_path)}), systemd)
    assert where.ids() == set()
    for group in (where.container("one"), where.container("two"), where.conmon("two"), where.conmon("three")):
        (tmp_path / group).mkdir(parents=True)
    assert where.ids() == {"one", "two", "three"}
    assert where.exist("three")
    assert not where.exist("four")


@pytest.mark.parametrize("id", ["", ".", "..", "a/b", "a.b", "a\n", "-a", "conmon-a", "a" * 129, "ä", "a b"])
def test_ids_that_cannot_name_files_are_refused(id: str) -> None:
    with pytest.raises(Permanent, match="container id"):
        groups.check_id(id)


def test_the_files_of_v2() -> None:
    assert limits.texts("v2", SOME, swap=True) == {
        ("cpu", "cpu.max"): "150000 100000",
        ("memory", "memory.swap.max"): "0",
        ("memory", "memory.max"): "67108865",
        ("pids", "pids.max"): "100",
    }
    assert limits.texts("v2", NONE, swap=True) == {
        ("cpu", "cpu.max"): "max 100000",
        ("memory", "memory.swap.max"): "max",
        ("memory", "memory.max"): "max",
        ("pids", "pids.max"): "max",
    }
    assert ("memory", "memory.swap.max") not in limits.texts("v2", SOME, swap=False)


@pytest.mark.parametrize("mode", ["v1", "hybrid"])
def test_the_files_of_v1(mode: cgroups.Mode) -> None:
    assert limits.texts(mode, SOME, swap=True) == {
        ("cpu", "cpu.cfs_period_us"): "100000",
        ("cpu", "cpu.cfs_quota_us"): "150000",
        ("memory", "memory.memsw.limit_in_bytes"): "67108865",
        ("memory", "memory.limit_in_bytes"): "67108865",
        ("pids", "pids.max"): "100",
    }
    assert limits.texts(mode, NONE, swap=False) == {
        ("cpu", "cpu.cfs_period_us"): "100000",
        ("cpu", "cpu.cfs_quota_us"): "-1",
        ("memory", "memory.limit_in_bytes"): "-1",
        ("pids", "pids.max"): "max",
    }


def files(directory: Path, mode: cgroups.Mode) -> cgroups.Layout:
    """A tree of plain files that looks like a host's."""
    group = directory / "g"
    group.mkdir()
    for _, name in limits.texts(mode, NONE, swap=True):
        (group / name).touch()
    if mode == "v2":
        return cgroups.Layout(mode=mode, hierarchies={"": str(directory)})
    return cgroups.Layout(mode=mode, hierarchies=dict.fromkeys(("cpu", "memory", "pids"), str(directory)))


@pytest.mark.parametrize("mode", ["v1", "hybrid", "v2"])
@pytest.mark.parametrize("wanted", [SOME, NONE, base.Limits(cpu_millis=1), base.Limits(pids=7)])
def test_what_is_written_is_read_again(tmp_path: Path, mode: cgroups.Mode, wanted: base.Limits) -> None:
    layout = files(tmp_path, mode)
    limits.write(layout, "g", wanted)
    found = limits.read(layout, "g")
    assert found is not None
    assert limits.match(wanted, found)
    assert limits.read(layout, "other") is None
    expected = 3 if mode == "v2" else 4
    assert len(limits.files(layout, "g")) == expected


def test_a_limit_that_the_kernel_has_no_file_for(tmp_path: Path) -> None:
    layout = files(tmp_path, "v2")
    (tmp_path / "g/memory.max").unlink()
    limits.write(layout, "g", base.Limits(pids=3))
    with pytest.raises(Permanent, match=r"memory\.max"):
        limits.write(layout, "g", SOME)


def test_v2_holds_back_a_limit_that_would_end_processes(tmp_path: Path) -> None:
    layout = files(tmp_path, "v2")
    limits.write(layout, "g", SOME)
    before = limits.read(layout, "g")
    (tmp_path / "g/memory.current").write_text(f"{100 << 20}\n")
    (tmp_path / "g/memory.stat").write_text(f"anon {70 << 20}\nfile {40 << 20}\nshmem {10 << 20}\n")
    with pytest.raises(Temporary, match=r"70.0MiB of memory are in use, more than the limit of 59.0MiB"):
        limits.write(layout, "g", base.Limits(memory=59 << 20, pids=3))
    assert limits.read(layout, "g") == before
    limits.write(layout, "g", base.Limits(memory=70 << 20))


@pytest.mark.parametrize("mode", ["v1", "hybrid"])
def test_v1_tells_the_cause_not_its_consequence(
    tmp_path: Path, mode: cgroups.Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel refuses memory+swap below memory, and memory below what is in use."""
    layout = files(tmp_path, mode)
    (tmp_path / "g/memory.usage_in_bytes").write_text(f"{20 << 20}\n")
    write_text = cgroups.write_text

    def refuse(path: str, text: str) -> None:
        if "memory" in path:
            raise OSError(errno.EINVAL if "memsw" in path else errno.EBUSY, "refused")
        write_text(path, text)

    monkeypatch.setattr(cgroups, "write_text", refuse)
    with pytest.raises(Temporary, match=r"of memory are in use, more than the limit of"):
        limits.write(layout, "g", base.Limits(memory=8 << 20, pids=3))
    assert (tmp_path / "g/pids.max").read_text() == ""


@pytest.mark.parametrize(
    ("wanted", "found", "match"),
    [
        (SOME, base.Limits(1500, 64 << 20, 100), True),
        (SOME, base.Limits(1500, 63 << 20, 100), False),
        (SOME, base.Limits(1500, 64 << 20, 101), False),
        (SOME, base.Limits(1400, 64 << 20, 100), False),
        (base.Limits(cpu_millis=3), base.Limits(cpu_millis=10), True),
        (base.Limits(cpu_millis=1234), base.Limits(cpu_millis=1240), True),
        (base.Limits(cpu_millis=1234), base.Limits(cpu_millis=1230), False),
        (NONE, NONE, True),
        (NONE, base.Limits(memory=4096), False),
        (base.Limits(memory=4096), NONE, False),
    ],
)
def test_matching_as_the_kernel_and_systemd_round(wanted: base.Limits, found: base.Limits, match: bool) -> None:
    assert limits.match(wanted, found) is match


@pytest.mark.parametrize(
    ("mode", "name", "text"),
    [
        ("v2", "memory.events", "low 0\nhigh 0\nmax 9\noom 2\noom_kill 2\noom_group_kill 0\n"),
        ("v1", "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"),
    ],
)
def test_counting_processes_killed_for_memory(tmp_path: Path, mode: cgroups.Mode, name: str, text: str) -> None:
    layout = files(tmp_path, mode)
    assert cgroups.oom_kills(layout, "g") == 0
    (tmp_path / "g" / name).write_text(text)
    assert cgroups.oom_kills(layout, "g") == 2
    assert cgroups.oom_kills(layout, "gone") == 0
