"""dockerd with state of its own: no bridge, no firewall rules, nothing of the host's."""

from __future__ import annotations

import subprocess
from pathlib import Path

from bench import clock
from bench.apart import RUN
from bench.memory import tree

_RUN = RUN / "docker"


class Docker:
    """The daemon with its data below ``work``, and its client."""

    def __init__(self, work: Path) -> None:
        _RUN.mkdir(exist_ok=True)
        socket = f"unix://{_RUN}/docker.sock"
        self._env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(work)}
        self._command = ["docker", "-H", socket]
        with open(work / "docker.log", "ab") as log:
            self.process = subprocess.Popen(
                [
                    "dockerd", "--data-root", str(work / "docker"), "--exec-root", str(_RUN / "exec"), "-H", socket,
                    "--pidfile", str(_RUN / "docker.pid"), "--storage-driver", "overlay2", "--bridge", "none",
                    "--iptables=false", "--ip6tables=false",
                ],
                stdout=log, stderr=log, env=self._env,
            )  # fmt: skip
        clock.until(lambda: self._try("version").returncode == 0, "dockerd to answer")

    def ask(self, *words: str) -> str:
        done = self._try(*words)
        if done.returncode != 0:
            raise AssertionError(f"docker {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def _try(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self._command, *words], capture_output=True, text=True, env=self._env, timeout=300)

    def memory(self) -> float:
        """Bytes of the daemon, its containerd and their helpers (PSS)."""
        return tree([self.process.pid])

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(60)
