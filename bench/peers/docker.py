"""dockerd with state of its own: no bridge, no firewall rules, nothing of the host's."""

from __future__ import annotations

from pathlib import Path

from bench.apart import RUN
from bench.memory import tree
from reconciler.testing import docker

_RUN = RUN / "docker"


class Docker(docker.Docker):
    """The daemon with its data below ``work``, and its client."""

    def __init__(self, work: Path) -> None:
        _RUN.mkdir(exist_ok=True)
        super().__init__(work, _RUN)

    def memory(self) -> float:
        """Bytes of the daemon, its containerd and their helpers (PSS)."""
        return tree([self.process.pid])
