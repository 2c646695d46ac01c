"""A running container seen from the host, through the files of its first process in /proc."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from reconciler.testing import wait

_RUNTIMES = ("runc:", "crun")
_LIMITS_V1 = {
    "memory": ("memory", "memory.limit_in_bytes"),
    "pids": ("pids", "pids.max"),
    "cpu": ("cpu", "cpu.cfs_quota_us"),
}
_LIMITS_V2 = {"memory": "memory.max", "pids": "pids.max", "cpu": "cpu.max"}


class Inside:
    """What process ``pid`` is, sees and may do, once it is the container's program: for some microseconds after its
    start it is still the runtime's."""

    def __init__(self, pid: int) -> None:
        assert pid > 0, "the container does not run"
        self.pid = pid
        self._proc = Path(f"/proc/{pid}")
        wait.until(lambda: not (self._proc / "comm").read_text().startswith(_RUNTIMES), 5.0, "the program to begin")
        #: the network namespace, as a path to enter
        self.network = str(self._proc / "ns" / "net")

    @property
    def argv(self) -> list[str]:
        return (self._proc / "cmdline").read_bytes().decode().split("\0")[:-1]

    @property
    def environment(self) -> dict[str, str]:
        words = (self._proc / "environ").read_bytes().decode().split("\0")[:-1]
        return dict(word.split("=", 1) for word in words)

    @property
    def hostname(self) -> str:
        return self.run("--uts", "hostname")

    @property
    def status(self) -> dict[str, str]:
        """``Uid``, ``CapEff``, ``NoNewPrivs`` and the like, proc_pid_status(5)."""
        lines = (self._proc / "status").read_text().splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    @property
    def mounts(self) -> dict[str, str]:
        """mount point → options, those of the mount and those of its file system."""
        found = {}
        for line in (self._proc / "mountinfo").read_text().splitlines():
            left, _, right = line.partition(" - ")
            found[left.split()[4]] = f"{left.split()[5]},{right.split()[2]}"
        return found

    def path(self, inside: str) -> Path:
        """A path of the container as one of the host."""
        return Path(f"{self._proc}/root{inside}")

    def is_in(self, directory: str) -> bool:
        """Whether its working directory is that one."""
        return os.path.samefile(self._proc / "cwd", self.path(directory))

    def capabilities(self, which: str = "CapBnd") -> int:
        return int(self.status[which], 16)

    def run(self, *words: str) -> str:
        """Runs a host's command in some of its namespaces (``--uts``, ``--net``), as root of the host."""
        done = subprocess.run(["nsenter", "-t", str(self.pid), *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def shell(self, script: str) -> str:
        """Runs a script in its root and namespaces, with the credentials of the host's root and no limits."""
        done = subprocess.run(
            ["nsenter", "-t", str(self.pid), "-m", "-u", "-n", "-p", "-i", "/bin/sh", "-c", script],
            capture_output=True, text=True, check=False, env={"PATH": "/bin"},
        )  # fmt: skip
        return (done.stdout + done.stderr).strip()

    def limit(self, name: str) -> Path:
        """The cgroup file that holds its limit of ``memory``, ``pids`` or ``cpu``."""
        for line in (self._proc / "cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            controller, file = _LIMITS_V1[name]
            if controller in controllers.split(","):
                return Path("/sys/fs/cgroup") / controller / path.lstrip("/") / file
            unified = Path("/sys/fs/cgroup") / path.lstrip("/") / _LIMITS_V2[name]
            if not controllers and unified.exists():
                return unified
        raise AssertionError(f"no cgroup holds the {name} limit of {self.pid}")
