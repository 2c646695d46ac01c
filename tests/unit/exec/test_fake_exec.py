"""The fake driver keeps the promises of the real one."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from reconciler.drivers.exec import base
from reconciler.errors import Temporary
from reconciler.testing.exec_fake import FakeExec, World
from reconciler.testing.exec_suite import SLEEP, ExecSuite, stop

__all__ = ["stop"]


class FakeBench:
    def __init__(self) -> None:
        self.world = World()

    def open(self) -> base.ExecDriver:
        return FakeExec(self.world)

    def config(self, id: str, *argv: str, **changes: Any) -> base.ContainerConfig:
        plain = {
            "rootfs": "/",
            "env": (),
            "cwd": "/",
            "user": "",
            "hostname": "h",
            "netns": "",
            "log_path": f"/log/{id}",
        }
        return base.ContainerConfig(id=id, argv=argv, **{**plain, "log_path": f"/log/{id}", **changes})

    def kill_conmon(self, id: str) -> None:
        FakeExec(self.world).kill_conmon(id)

    def remove_behind_our_back(self, id: str) -> None:
        FakeExec(self.world).finish(id, 128 + signal.SIGKILL, "signal")


class TestFakeExec(ExecSuite):
    @pytest.fixture
    def bench(self) -> FakeBench:
        return FakeBench()


def test_a_failure_can_be_ordered() -> None:
    driver = FakeExec()
    driver.fail["create"] = Temporary("not now")
    config = FakeBench().config("one", *SLEEP)
    with pytest.raises(Temporary, match="not now"):
        driver.create(config)
    assert driver.create(config).status == "created"
    assert driver.calls == [("create", "one"), ("create", "one")]


def test_a_lifelike_process_can_be_watched() -> None:
    from reconciler.drivers.exec import pids

    driver = FakeExec(World(lifelike=True))
    facts = driver.create(FakeBench().config("one", *SLEEP))
    assert pids.alive(facts.pid, facts.pid_start)
