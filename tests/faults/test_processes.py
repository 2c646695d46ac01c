"""Processes that end at a bad moment, or that cannot be made; and a reboot, after which pids mean something else."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.model import names
from reconciler.testing import faults, images, wait
from reconciler.testing.daemon import Pydockd, condition, path

CLONE3 = 435
SET_CHILD_SUBREAPER = 36
BOOT_ID = "/proc/sys/kernel/random/boot_id"


def running(host: Pydockd, image: str, name: str, **spec: object) -> faults.Subject:
    subject = faults.Subject(host, image, name, images.free_port())
    host.apply(subject.manifest(**spec))
    faults.until(host, subject.runs_once, 20, f"{name} to run")
    return subject


def test_an_api_process_killed_in_a_request_leaves_all_or_nothing(
    make_host: Callable[..., Pydockd], image: str
) -> None:
    host = make_host().start()
    assert host.cli("pull", image).returncode == 0
    subject = faults.Subject(host, image, "web", images.free_port())
    heard: list[object] = []

    def ask() -> None:
        try:
            heard.append(host.apply(subject.manifest()))
        except (OSError, AssertionError) as error:
            heard.append(error)

    asking = threading.Thread(target=ask)
    with contextlib.closing(sqlite3.connect(host.root / "state.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        asking.start()
        wait.until(lambda: "+job apply" in host.tail(), 10, "the request to be with the controller")
        faults.kill(faults.api_process(host))
        asking.join(20)
        other.execute("ROLLBACK")
    assert isinstance(heard[0], Exception), "a request that nobody answered was acknowledged"
    host.wait_ready()
    found = host.get("Container", "web")
    assert found is None or found["spec"] == subject.manifest()["spec"]
    host.apply(subject.manifest())
    faults.until(host, subject.runs_once, 20, "the container to run once")


def test_a_container_whose_conmon_was_killed_leaves_nothing(make_host: Callable[..., Pydockd], image: str) -> None:
    host = make_host().start()
    running(host, image, "first")
    host.delete("Container", "first")
    faults.until(host, lambda: faults.emptied(host), 20, "the first to be gone")
    remains = faults.Remains(host)
    subject = running(host, image, "web")
    faults.kill(faults.parent(subject.processes()[0]))
    wait.until(lambda: condition(host.status("web"), "Supervised") == "False", 5, "its loss to be noticed")
    host.delete("Container", "web")
    faults.until(host, lambda: faults.emptied(host), 20, "the orphan to be gone")
    remains.wait_none()


@pytest.mark.parametrize(
    "point", ["graph.blob.data.after", "graph.layer.fill.after", "graph.layer.sync.after", "graph.layer.name.after"]
)
def test_killed_in_a_pull_nothing_partial_can_be_seen(
    make_host: Callable[..., Pydockd], image: str, point: str
) -> None:
    host = make_host().start(env={"PYDOCK_FAILPOINT": point})
    host.cli("pull", image)
    assert host.died(10)
    graph = host.root / "graph"
    for blob in (graph / "blobs" / "sha256").iterdir():
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
    assert list((graph / "chains").iterdir()) == []
    host.start(env={"PYDOCK_FAILPOINT": ""})
    assert list((graph / "layers").iterdir()) == []
    assert list((graph / "tmp").iterdir()) == []
    running(host, image, "web")


@pytest.fixture
def limited_tasks() -> Iterator[Callable[[int], Path]]:
    """Makes a process unable to start any thread or process until the file returned is written ``max``."""
    group = (
        Path("/sys/fs/cgroup/pids" if Path("/sys/fs/cgroup/pids").exists() else "/sys/fs/cgroup")
        / f"t{uuid.uuid4().hex}"
    )
    group.mkdir()

    def limit(pid: int) -> Path:
        (group / "cgroup.procs").write_text(str(pid))
        (group / "pids.max").write_text((group / "pids.current").read_text())
        return group / "pids.max"

    try:
        yield limit
    finally:
        for pid in (group / "cgroup.procs").read_text().split():
            (group.parent / "cgroup.procs").write_text(pid)
        group.rmdir()


def test_a_host_without_room_for_processes_is_survived(
    make_host: Callable[..., Pydockd], image: str, limited_tasks: Callable[[int], Path]
) -> None:
    host = make_host().start()
    keeper = running(host, image, "keeper")
    assert host.process is not None
    late = faults.Subject(host, image, "late", images.free_port())
    limit = limited_tasks(host.process.pid)
    attempt(host, late)
    attempt(host, late)
    assert host.alive()
    assert keeper.processes()
    limit.write_text("max")
    insist(host, late)
    faults.until(host, lambda: late.runs_once() and keeper.runs_once(), 30, "both to run")
    assert host.alive()


def test_a_daemon_without_descriptors_is_no_crash_loop(make_host: Callable[..., Pydockd], image: str) -> None:
    host = make_host().start()
    keeper = running(host, image, "keeper")
    assert host.process is not None
    pid = host.process.pid
    late = faults.Subject(host, image, "late", images.free_port())
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    for spare in (0, 2, 5):
        used = max(map(int, os.listdir(f"/proc/{pid}/fd"))) + 1
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + spare, before[1]))
        attempt(host, late)
        assert host.alive()
        assert keeper.processes() == [keeper.processes()[0]]
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    insist(host, late)
    faults.until(host, lambda: late.runs_once() and keeper.runs_once(), 30, "both to run")
    assert host.process.pid == pid


def attempt(host: Pydockd, subject: faults.Subject) -> int:
    """Asks once; 0 when there was no answer."""
    with contextlib.suppress(OSError):
        url = path("Container", subject.name) + "?fieldManager=test"
        return host.request("PATCH", url, subject.manifest(), "application/apply-patch+json")[0]
    return 0


def insist(host: Pydockd, subject: faults.Subject) -> None:
    faults.until(host, lambda: 0 < attempt(host, subject) < 300, 30, f"{subject.name} to be taken")


@pytest.fixture
def reaper() -> Iterator[None]:
    """Orphans of the daemon become children of this process: their pids are free once it waited for them."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    yield
    libc.prctl(SET_CHILD_SUBREAPER, 0, 0, 0, 0)
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


@pytest.mark.usefixtures("reaper")
@pytest.mark.parametrize("run_dir", ["emptied", "kept"])
def test_after_a_reboot_with_pids_reused_nothing_foreign_is_killed(
    make_host: Callable[..., Pydockd], image: str, run_dir: str
) -> None:
    host = make_host().start()
    first = running(host, image, "first")
    second = running(host, image, "second", dependsOn=[{"name": "first"}])
    recorded = [first.processes()[0], second.processes()[0]]
    host.kill()
    reboot(host, keep_run=run_dir == "kept")
    foreign = [process_with_pid(pid) for pid in recorded]
    try:
        with other_boot(host.work / "boot_id"):
            host.start()
            faults.until(host, lambda: first.runs_once() and second.runs_once(), 20, "both to come back")
        starts = [job for job in host.api("GET", "/apis/pydock.dev/v1/jobs")["items"] if job["name"] == "start"]
        starts.sort(key=lambda job: job["startedAt"])
        assert [job["object"].rpartition("/")[2] for job in starts[-2:]] == ["first", "second"]
        assert host.status("first")["restartCount"] == 0
        for subject in (second, first):
            host.delete("Container", subject.name)
            faults.until(host, subject.is_gone, 20, f"{subject.name} to be gone")
        assert [os.waitpid(pid, os.WNOHANG) for pid in foreign] == [(0, 0), (0, 0)]
    finally:
        for pid in foreign:
            faults.kill(pid)
            os.waitpid(pid, 0)


def reboot(host: Pydockd, keep_run: bool) -> None:
    """What a reboot takes away: processes, cgroups, mounts, links, rules, and what was on tmpfs."""
    slice_ = names.slice_name(host.instance)
    groups = [Path(top) for top, _, _ in os.walk("/sys/fs/cgroup") if f"/{slice_}" in top]
    for group in groups:
        for pid in (group / "cgroup.procs").read_text().split():
            faults.kill(int(pid))
    for group in reversed(groups):
        wait.until(lambda: removed(group), 10, f"{group} to be empty")  # noqa: B023
    lines = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in [fields[4] for fields in lines if fields[4].startswith(str(host.work.resolve()))]:
        subprocess.run(["umount", "-l", point], check=True)
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    for link in os.listdir("/sys/class/net"):
        if link != "lo":
            subprocess.run(["ip", "link", "del", link], check=False, capture_output=True)
    if not keep_run:
        shutil.rmtree(host.run)


def removed(group: Path) -> bool:
    with contextlib.suppress(OSError):
        group.rmdir()
    return not group.exists()


@contextlib.contextmanager
def other_boot(file: Path) -> Iterator[None]:
    """Who starts meanwhile finds another boot id."""
    file.write_text(f"{uuid.uuid4()}\n")
    subprocess.run(["mount", "--bind", file, BOOT_ID], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", BOOT_ID], check=True)


class CloneArguments(ctypes.Structure):
    """include/uapi/linux/sched.h: struct clone_args"""

    _fields_ = [
        (name, ctypes.c_uint64)
        for name in (
            "flags", "pidfd", "child_tid", "parent_tid", "exit_signal", "stack", "stack_size", "tls", "set_tid",
            "set_tid_size", "cgroup",
        )
    ]  # fmt: skip


def is_free(pid: int) -> bool:
    """Whether the pid is nobody's; its conmon may have waited for it, or we do."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return not os.path.exists(f"/proc/{pid}")


def process_with_pid(pid: int) -> int:
    """A foreign process that has got this pid of an orphan that ended; returns it."""
    wait.until(lambda: is_free(pid), 10, f"pid {pid} to be free")
    wanted = (ctypes.c_int * 1)(pid)
    arguments = CloneArguments(exit_signal=signal.SIGCHLD, set_tid=ctypes.addressof(wanted), set_tid_size=1)
    libc = ctypes.CDLL(None, use_errno=True)
    made = int(libc.syscall(CLONE3, ctypes.byref(arguments), ctypes.sizeof(arguments)))
    if made == 0:
        os.execv("/bin/sleep", ["sleep", "300"])
    assert made == pid, os.strerror(ctypes.get_errno())
    return pid
