"""conmon and an OCI runtime with the default seccomp profile, driven directly: no image, no network, nothing kept.

What remains is what nobody can be faster than who runs containers under conmon.
"""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.apart import RUN
from reconciler.drivers import exec as exec_driver
from reconciler.drivers.exec import base
from reconciler.testing import exec_rootfs

_AT_A_TIME = 4


class Bare:
    def __init__(self, work: Path) -> None:
        work.mkdir()
        self._work = work
        self._rootfs = exec_rootfs.make(work / "rootfs")
        (self._rootfs / "www").mkdir()
        (self._rootfs / "www/index.html").write_text("hello\n")
        self._driver = exec_driver.open_driver("b" + secrets.token_hex(4), RUN / "bare", None)
        self.facts = self._driver.probe()

    def run(self, name: str, port: int) -> None:
        """Serves a page on that port of the host's network."""
        self._driver.create(
            base.ContainerConfig(
                id=name, rootfs=str(self._rootfs), argv=("httpd", "-f", "-p", f"127.0.0.1:{port}", "-h", "/www"),
                env=("PATH=/bin",), cwd="/", user="", hostname=name, netns="", log_path=str(self._work / f"{name}.log"),
            )
        )  # fmt: skip
        self._driver.start(name)

    def run_many(self, ports: dict[str, int]) -> None:
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            list(pool.map(lambda item: self.run(*item), ports.items()))

    def remove(self, *names: str) -> None:
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            list(pool.map(self._driver.delete, names))

    def close(self) -> None:
        self.remove(*self._driver.list())
