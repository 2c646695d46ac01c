"""podman with state, networks and cgroups of its own."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.apart import RUN

#: how many `podman run` at a time were the best here for 30 of them
AT_A_TIME = 4
#: without CAP_SYS_RESOURCE it could not give the ones it asks for by itself
_CONFIG = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
"""


class Podman:
    """``run`` gives containers that serve the bench's page on a port of 127.0.0.1, if it was given its ``image``."""

    def __init__(self, work: Path, runtime: str, image: str, cgroup: str) -> None:
        (work / "networks").mkdir(parents=True)
        config = work / "containers.conf"
        config.write_text(_CONFIG)
        self._env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(work), "CONTAINERS_CONF": str(config)}
        self._command = [
            "podman", "--root", str(work / "root"), "--runroot", str(RUN / "runroot"), "--tmpdir", str(RUN / "tmp"),
            "--network-config-dir", str(work / "networks"), "--cgroup-manager", "cgroupfs", "--events-backend", "file",
            "--storage-driver", "overlay", "--runtime", runtime,
        ]  # fmt: skip
        self._image, self._cgroup = image, cgroup
        if image:
            self.ask("pull", "-q", "--tls-verify=false", image)

    def ask(self, *words: str) -> str:
        done = subprocess.run([*self._command, *words], capture_output=True, text=True, env=self._env, timeout=300)
        if done.returncode != 0:
            raise AssertionError(f"podman {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def run(self, name: str, port: int, *flags: str) -> None:
        published = ["-p", f"127.0.0.1:{port}:80", "--cgroup-parent", self._cgroup]
        self.ask("run", "-d", "--name", name, *published, *flags, self._image)

    def run_many(self, ports: dict[str, int]) -> None:
        """All of ``ports``, ``AT_A_TIME``."""
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            list(pool.map(lambda item: self.run(*item), ports.items()))

    def remove(self, *names: str) -> None:
        """Kills and removes; without names all there are."""
        self.ask("rm", "-f", "-t", "0", *(names or ("-a",)))

    def pid(self, name: str) -> int:
        return int(json.loads(self.ask("inspect", name))[0]["State"]["Pid"])

    def conmons(self) -> list[int]:
        """The process ids of all monitors."""
        names = self.ask("ps", "-q").split()
        return [int(Path(found["ConmonPidFile"]).read_text()) for found in json.loads(self.ask("inspect", *names))]

    def close(self) -> None:
        self.remove()
