"""Trouble with the disk and the database: refused in a sentence, never half-acknowledged, containers untouched."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.testing import disks, faults, images, wait
from reconciler.testing.daemon import Pydockd, container, path

MANAGED = "?fieldManager=test"
APPLY = "application/apply-patch+json"


def running(host: Pydockd, image: str, name: str) -> faults.Subject:
    subject = faults.Subject(host, image, name, images.free_port())
    host.apply(subject.manifest())
    faults.until(host, subject.runs_once, 20, f"{name} to run")
    return subject


def truncate(database: Path) -> None:
    os.truncate(database, database.stat().st_size // 2)


def flip_bits(database: Path) -> None:
    """One in each page after the first: whatever lies there cannot be whole."""
    data = bytearray(database.read_bytes())
    chance = random.Random(7)
    for page in range(4096, len(data), 4096):
        data[page + chance.randrange(8)] ^= 0x55
    database.write_bytes(data)


def lose_log(database: Path) -> None:
    Path(f"{database}-wal").unlink()


def lose_database(database: Path) -> None:
    database.unlink()


@pytest.mark.parametrize("damage", [truncate, flip_bits, lose_log, lose_database])
def test_a_damaged_database_is_refused_and_containers_run_on(
    make_host: Callable[..., Pydockd], image: str, damage: Callable[[Path], None]
) -> None:
    host = make_host().start()
    subject = running(host, image, "web")
    pid = subject.processes()
    if damage is lose_log:
        host.kill()
    else:
        host.stop()
    database = host.root / "state.db"
    kept = host.work / "kept"
    shutil.copytree(host.root, kept, ignore=shutil.ignore_patterns("graph", "logs"))
    damage(database)
    told = host.log.stat().st_size
    host.start(ready=False)
    assert host.died(20)
    assert host.process is not None
    assert host.process.returncode == 1
    # the API process of the daemon that was killed may still have a word to say
    lines = [line for line in host.log.read_text()[told:].splitlines() if line.startswith("pydockd: ")]
    assert str(database) in lines[-1]
    assert "Traceback" not in host.log.read_text()[told:]
    assert subject.processes() == pid
    assert faults.answers(subject.port)
    for file in host.root.glob("state.db*"):
        file.unlink()
    for file in kept.glob("state.db*"):
        shutil.copy(file, host.root / file.name)
    host.start()
    faults.until(host, subject.runs_once, 20, "the container to be adopted")
    assert subject.processes() == pid


def test_a_locked_database_is_told_and_nothing_is_lost(make_host: Callable[..., Pydockd], image: str) -> None:
    host = make_host().start()
    subject = running(host, image, "web")
    late = faults.Subject(host, image, "late", images.free_port())
    with contextlib.closing(sqlite3.connect(host.root / "state.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        status, answer = host.request("PATCH", path("Container", "late") + MANAGED, late.manifest(), APPLY)
        assert status == 503, answer
        assert host.status("web")["phase"] == "Running"
        assert host.get("Container", "late") is None
        other.execute("ROLLBACK")
    host.apply(late.manifest())
    faults.until(host, late.runs_once, 30, "the container to run once the database is free")
    assert subject.runs_once()


def test_a_failing_sync_fails_the_request_and_acknowledges_nothing(
    make_host: Callable[..., Pydockd], image: str
) -> None:
    host = make_host().start()
    subject = running(host, image, "web")
    late = faults.Subject(host, image, "late", images.free_port())
    with failing_syncs(host):
        status, answer = host.request("PATCH", path("Container", "late") + MANAGED, late.manifest(), APPLY)
        assert status >= 500, answer
        assert host.status("web")["phase"] == "Running"
    host.apply(late.manifest())
    faults.until(host, late.runs_once, 20, "the container to run once the disk is well")
    host.kill()
    host.start()
    faults.until(host, lambda: late.runs_once() and subject.runs_once(), 20, "both to be adopted")


@contextlib.contextmanager
def failing_syncs(host: Pydockd) -> Iterator[None]:
    """Every sync of the daemon fails with EIO meanwhile."""
    assert host.process is not None
    log = host.work / "strace.log"
    tracer = subprocess.Popen(
        ["strace", "-f", "-p", str(host.process.pid), "-o", str(log), "-e", "trace=fsync,fdatasync",
         "-e", "inject=fsync,fdatasync:error=EIO"],
        stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert tracer.stderr is not None
        assert b"attached" in tracer.stderr.readline()
        yield
    finally:
        tracer.terminate()
        tracer.communicate(timeout=20)
    assert "EIO" in log.read_text()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MiB."""
    with disks.small(tmp_path / "disk", 48) as disk:
        yield disk


def test_a_full_disk_lets_everything_be_read_and_deleted(small_disk: Path, image: str) -> None:
    host = Pydockd(small_disk / "host", flags=("--resync", "3600"))
    # only what the daemon keeps is on the small disk: a test's own log would end the daemon's words
    host.log = small_disk.parent / "pydockd.log"
    try:
        host.start()
        victim, keeper = running(host, image, "victim"), running(host, image, "keeper")
        for name in ("stopped",):
            running(host, image, name)
        # this one writes on and on: what a deletion frees is its at once
        hog = container("hog", image)
        script = "while :; do head -c 65536 /dev/zero >> /hog 2> /dev/null || sleep 0.05; done"
        hog["spec"]["command"] = ["sh", "-c", script]
        host.apply(hog)
        stuff = small_disk / "stuff"
        disks.fill(stuff)
        assert host.status("victim")["phase"] == "Running"
        assert len(host.api("GET", "/apis/pydock.dev/v1/containers")["items"]) == 4
        host.delete("Container", "victim")
        faults.until(host, victim.is_gone, 20, "the victim to be gone on a full disk")
        for _ in range(10):
            assert host.cli("stop", "stopped").returncode == 0
            assert host.cli("start", "stopped").returncode == 0
        host.delete("Container", "hog")
        host.wait_gone("Container", "hog")
        assert "Traceback" not in host.log.read_text()
        assert keeper.runs_once()
        assert host.alive()
        stuff.unlink()
        running(host, image, "after")
    finally:
        host.close()


def test_a_full_disk_is_freed_of_what_nothing_uses(small_disk: Path, image: str, registry: images.Server) -> None:
    unused = images.push(registry.address, "unused", "1", images.busybox(page=os.urandom(4 << 20).hex()))
    host = Pydockd(small_disk / "host", flags=("--resync", "0.5", "--image-gc-min-age", "0"))
    host.log = small_disk.parent / "pydockd.log"
    try:
        host.start()
        keeper = running(host, image, "keeper")
        assert host.cli("pull", unused).returncode == 0
        assert unused in host.cli("image", "ls").stdout
        stuff = small_disk / "stuff"
        disks.fill(stuff)
        assert os.statvfs(small_disk).f_bavail == 0
        faults.until(host, lambda: unused not in host.cli("image", "ls").stdout, 20, "the unused image to go")
        wait.until(lambda: os.statvfs(small_disk).f_bavail > 0, 10, "its room to be free")
        assert keeper.runs_once()
        assert image in host.cli("image", "ls").stdout
        stuff.unlink()
        running(host, image, "after")
    finally:
        host.close()


def test_an_image_that_does_not_fit_fails_alone(small_disk: Path, image: str, registry: images.Server) -> None:
    big = images.push(registry.address, "big", "1", images.busybox(page=os.urandom(40 << 20).hex()))
    host = Pydockd(small_disk / "host", flags=("--resync", "3600"))
    host.log = small_disk.parent / "pydockd.log"
    try:
        host.start()
        keeper = running(host, image, "keeper")
        host.apply(container("big", big))
        wait.until(lambda: "space" in str(host.status("big").get("conditions")), 30, "the failure to be told")
        assert keeper.runs_once()
        host.delete("Container", "big")
        host.wait_gone("Container", "big")
        running(host, image, "after")
        assert not list((host.root / "graph" / "tmp").iterdir())
    finally:
        host.close()
