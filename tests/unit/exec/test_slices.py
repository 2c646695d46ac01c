"""Slices of our own making: stopped when nothing is in them, and never under anybody's feet."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import Any

import pytest

from reconciler.drivers.exec import cgroups, groups, slices, systemd
from reconciler.errors import Temporary


class Host:
    """A cgroup v2 tree in a directory, and systemd, which removes what it is told to stop."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = directory / "cgroup"
        self.root.mkdir()
        self.groups = groups.Groups("main", cgroups.Layout("v2", {"": str(self.root)}), systemd=True)
        self.top = self.root / "pydock.slice/pydock-main.slice"
        self.stopped: list[str] = []
        self.failing = False
        monkeypatch.setattr(slices, "LOCK", str(directory / "lock"))
        monkeypatch.setattr(systemd, "send", self._send)

    def _send(self, message: Any) -> tuple[Any, ...]:
        if self.failing:
            raise Temporary("systemd refused: not now")
        unit, mode = message.body
        assert mode == "replace"
        self.stopped.append(unit)
        (self.top if unit == "pydock-main.slice" else self.root / unit).rmdir()
        return ("/job",)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def test_both_are_stopped_when_the_last_container_is_gone(host: Host) -> None:
    host.top.mkdir(parents=True)
    slices.drop(host.groups)
    assert host.stopped == ["pydock-main.slice", "pydock.slice"]
    slices.drop(host.groups)
    assert host.stopped == ["pydock-main.slice", "pydock.slice"]


def test_one_with_a_container_in_it_stays(host: Host) -> None:
    (host.top / "pydock-one.scope").mkdir(parents=True)
    slices.drop(host.groups)
    assert host.stopped == []


def test_the_shared_one_stays_for_another_instance(host: Host) -> None:
    host.top.mkdir(parents=True)
    (host.top.parent / "pydock-other.slice").mkdir()
    slices.drop(host.groups)
    assert host.stopped == ["pydock-main.slice"]


def test_the_shared_one_stays_while_another_instance_makes_a_container(host: Host) -> None:
    host.top.mkdir(parents=True)
    with open(slices.LOCK, "w", encoding="ascii") as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        slices.drop(host.groups)
    assert host.stopped == ["pydock-main.slice"]
    with slices.in_use(host.groups), slices.in_use(host.groups):
        pass


def test_a_systemd_that_refuses_is_asked_again_the_next_time(host: Host) -> None:
    host.top.mkdir(parents=True)
    host.failing = True
    slices.drop(host.groups)
    host.failing = False
    slices.drop(host.groups)
    assert host.stopped == ["pydock-main.slice", "pydock.slice"]


def test_slices_that_we_made_are_removed_by_us(tmp_path: Path) -> None:
    where = groups.Groups("main", cgroups.Layout("v2", {"": str(tmp_path)}), systemd=False)
    (tmp_path / "pydock-main.slice").mkdir()
    slices.drop(where)
    assert list(tmp_path.iterdir()) == []
