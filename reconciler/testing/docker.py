"""dockerd of a test's own: no bridge, no firewall rules, and nothing of it stays on the host."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence

from reconciler.testing import runs
from reconciler.testing.wait import until

#: its own mounts, a /run in which no other dockerd has put anything, and an /etc that forgets the key it puts there
_HIDE = """
mount -t tmpfs none /run && mkdir /run/upper /run/work &&
mount -t overlay -o lowerdir=/etc,upperdir=/run/upper,workdir=/run/work none /etc && exec "$@"
"""
_APART = ("unshare", "--mount", "--propagation", "private", "sh", "-c", _HIDE, "sh")


class Docker:
    """A running dockerd with its data in ``data`` and its sockets in ``run``, whose path must be short. ``place`` is
    the command that starts it where it is to be."""

    def __init__(
        self, data: pathlib.Path, run: pathlib.Path, cgroup: str = "docker", place: Sequence[str] = ()
    ) -> None:
        socket = f"unix://{run}/docker.sock"
        self.log = data / "dockerd.log"
        self._env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(data), "DOCKER_BUILDKIT": "0"}
        self._command = ["docker", "-H", socket]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [
                    *place, "dockerd", "-H", socket,
                    "--data-root", str(data / "docker"), "--exec-root", str(run / "exec"),
                    "--pidfile", str(run / "docker.pid"), "--storage-driver", "overlay2", "--bridge", "none",
                    "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--cgroup-parent", f"/{cgroup}",
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._env,
            )  # fmt: skip
        until(self._answers, 30, "dockerd to answer")

    def ask(self, *words: str | pathlib.Path) -> str:
        """What ``docker`` prints."""
        done = self._try(*words)
        assert done.returncode == 0, f"docker {words}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def _try(self, *words: str | pathlib.Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self._command, *words], capture_output=True, text=True, env=self._env, timeout=300)

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"dockerd ended: {self.log.read_text()[-2000:]}")
        return self._try("version").returncode == 0

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(60)


@contextlib.contextmanager
def daemon() -> Iterator[Docker]:
    """A dockerd in temporary directories and cgroups of its own, for as long as the block runs."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="docker-", dir="/tmp"))  # its sockets take no long path
    cgroup = f"pydock-{runs.instance()}-docker"
    try:
        found = Docker(directory, directory, cgroup, _APART)
        try:
            yield found
        finally:
            found.close()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        for left in pathlib.Path("/sys/fs/cgroup").glob(f"*/{cgroup}"):
            left.rmdir()
