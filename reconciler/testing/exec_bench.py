"""The real exec driver on a test's bench: busybox containers of an instance of their own."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from reconciler.drivers import exec as exec_driver
from reconciler.drivers.exec import base, cgroups, groups, host, logs, pids
from reconciler.testing import runs
from reconciler.testing.wait import until

_CLONE_NEWNS = 0x00020000
_MNT_DETACH = 2


class RealBench:
    """``open()`` gives drivers over one run directory; ``close()`` removes all that the test left and checks it."""

    def __init__(self, directory: Path, rootfs: Path, runtime: str | None = None) -> None:
        self.instance = runs.instance()
        self.directory = directory
        self.rootfs = rootfs
        self.run_dir = directory / "run"
        self.base = self.run_dir / "exec" / self.instance
        self.groups = groups.Groups(self.instance, host.layout(), systemd=False)
        self._runtime = runtime

    def open(self, log_limits: base.LogLimits | None = None) -> base.ExecDriver:
        return exec_driver.open_driver(self.instance, self.run_dir, self._runtime, log_limits)

    def config(self, id: str, *argv: str, **changes: Any) -> base.ContainerConfig:
        plain = {
            "rootfs": str(self.rootfs),
            "env": (),
            "cwd": "/",
            "user": "",
            "hostname": "box",
            "netns": "",
            "log_path": str(self.directory / "logs" / id / "log"),
        }
        return base.ContainerConfig(id=id, argv=argv, **{**plain, **changes})

    def output(self, script: str, **changes: Any) -> str:
        """What a shell script wrote (both streams) in a container of its own; it must end by itself."""
        driver = self.open()
        id = "out" + os.urandom(3).hex()
        config = self.config(id, "sh", "-c", script, **changes)
        driver.create(config)
        driver.start(id)
        until(lambda: driver.inspect(id).status == "exited", 20.0, "the script to end")
        text = "".join(record.text.decode() + "\n" for record in map(logs.parse, self._log(config)) if record)
        driver.delete(id)
        return text

    def _log(self, config: base.ContainerConfig) -> list[bytes]:
        return Path(config.log_path).read_bytes().splitlines()

    def kill_conmon(self, id: str) -> None:
        conmon = self.open().conmon_process(id)
        assert conmon is not None
        pids.send(*conmon, signal.SIGKILL)
        until(lambda: not pids.alive(*conmon), 5.0, "conmon to end")

    def remove_behind_our_back(self, id: str) -> None:
        facts = self.open().probe()
        subprocess.run([facts.path, f"--root={self.base / 'runtime'}", "delete", "--force", id], check=True)

    def close(self) -> None:
        driver = self.open()
        for id in driver.list():
            driver.delete(id)
        assert driver.list() == ()
        assert not cgroups.exists(self.groups.layout, self.groups.top)


@contextlib.contextmanager
def cgroup_view(view: Literal["v1", "v2"]) -> Iterator[None]:
    """For this thread and what it starts, a hybrid host looks as if it had v1 alone, or v2 alone (then with those
    controllers only that the v2 tree has). The mounts are those of a namespace of its own, given up afterwards."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(libc.unshare(_CLONE_NEWNS))
        try:
            if view == "v1":
                _check(libc.umount2(b"/sys/fs/cgroup/unified", _MNT_DETACH))
            else:
                _check(libc.umount2(b"/sys/fs/cgroup", _MNT_DETACH))
                _check(libc.mount(b"cgroup2", b"/sys/fs/cgroup", b"cgroup2", 0, None))
            yield
        finally:
            _check(libc.setns(before, _CLONE_NEWNS))
    finally:
        os.close(before)


def _check(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
