"""A pydockd of a test's own: the installed command, in temporary directories, with an instance name nobody else has."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reconciler.testing import nursery, runs, wait, zygote

BIN = Path(sys.executable).parent


class Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout: float = 30.0) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Pydockd:
    """Starts, stops and kills the daemon, and asks its API and its client. ``close`` removes all it made, whatever
    state it is in. With ``born_by`` daemon and client are forked where everything is imported already."""

    def __init__(
        self,
        work: Path,
        *,
        flags: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        debug: bool = True,
        run: Path | None = None,
        born_by: nursery.Nursery | None = None,
    ) -> None:
        self.work = work
        self._debug = debug
        self.instance = runs.instance()
        self.root, self.run, self.manifests = work / "root", run or work / "run", work / "manifests"
        self.manifests.mkdir(parents=True, exist_ok=True)
        self.socket = str(self.run / "pydock.sock")
        self.flags, self.env = tuple(flags), dict(env or {})
        self.process: subprocess.Popen[bytes] | zygote.Born | None = None
        self._nursery = born_by
        self.log = work / "pydockd.log"

    # life

    def start(self, *, env: Mapping[str, str] | None = None, ready: bool = True, flags: Sequence[str] = ()) -> Pydockd:
        command = [
            str(BIN / "pydockd"), "--root", str(self.root), "--run-dir", str(self.run),
            "--manifests", str(self.manifests), "--instance", self.instance,
            *(["--debug"] if self._debug else []), *self.flags, *flags,
        ]  # fmt: skip
        with self.log.open("ab") as log:
            self.process = self._run(command, {**self.env, **(env or {})}, log.fileno())
        if ready:
            self.wait_ready()
        return self

    def _run(self, command: list[str], env: dict[str, str], log: int) -> subprocess.Popen[bytes] | zygote.Born:
        if self._nursery is not None and nursery.can_run(env):
            return self._nursery.start(command, {**os.environ, **env}, [0, log, log])
        return subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **env})

    def wait_ready(self, timeout: float = 30.0) -> None:
        wait.until(self.ready, timeout, "pydockd to be ready")

    def ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"pydockd ended with status {self.process.returncode}:\n{self.tail()}")
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.request("GET", "/healthz")[0] == 200
        return False

    def kill(self) -> None:
        """kill -9 of the controller."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(25)

    def died(self, timeout: float = 30.0) -> bool:
        """Whether the daemon ended by itself within ``timeout`` seconds."""
        assert self.process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout)
            return True
        return False

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def tail(self, lines: int = 60) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def close(self) -> None:
        """Removes every object, then whatever the instance left, and ends the daemon."""
        try:
            if not self.alive():
                for file in self.manifests.rglob("*"):
                    if file.is_file():
                        file.unlink()
                self.env.pop("PYDOCK_FAILPOINT", None)
                self.start(env={"PYDOCK_FAILPOINT": ""}, ready=False)
            # Images are files of ours: they go with the directory
            self.remove_all(("containers", "networks"))
            self.stop()
        except (AssertionError, OSError, subprocess.SubprocessError):
            self._tear_down()
            raise
        self._tear_down()

    def remove_all(self, plurals: Sequence[str] = ("containers", "images", "networks")) -> None:
        """Deletes all manifests, and all objects of these kinds, and waits until none is left. What is being deleted is
        not given its grace."""
        self.wait_ready()
        for file in self.manifests.rglob("*"):
            if file.is_file():
                file.unlink()
        wait.until(lambda: self._emptied(plurals), 60.0, "all objects to be gone")

    def _emptied(self, plurals: Sequence[str]) -> bool:
        left = 0
        for source in self.api("GET", "/apis/pydock.dev/v1/sources")["items"]:
            if source["held"]:
                # refused while more is coming to be held: next time
                shown = {"name": source["name"], "digest": source["digest"]}
                self.request("POST", "/apis/pydock.dev/v1/sources/ack", shown)
        for plural in plurals:
            for item in self.api("GET", f"/apis/pydock.dev/v1/{plural}")["items"]:
                left += 1
                meta = item["metadata"]
                if "deletionTimestamp" in meta:
                    self._hurry(item["status"].get("pid", 0))
                elif item["status"].get("owner", {}).get("source") == "api":
                    self.request("DELETE", path(item["kind"], meta["name"], meta.get("namespace", "")))
        return left == 0

    def _hurry(self, pid: int) -> None:
        """Kills a container's process, if it is still the one that this instance started."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if pid and f"pydock-{self.instance}" in Path(f"/proc/{pid}/cgroup").read_text():
                os.kill(pid, signal.SIGKILL)

    def _tear_down(self) -> None:
        """The last resort: drivers of this instance remove what they find."""
        if self.alive():
            self.kill()
        from reconciler.testing import teardown

        teardown.instance(self.instance, self.root, self.run)
        shutil.rmtree(self.work, ignore_errors=True)

    # asking

    def request(
        self, method: str, url: str, body: Any = None, content_type: str = "application/json"
    ) -> tuple[int, Any]:
        """Status and parsed body."""
        connection = Connection(self.socket)
        try:
            payload = None if body is None else json.dumps(body).encode()
            headers = {"Content-Type": content_type} if body is not None else {}
            connection.request(method, url, payload, headers)
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        return answer.status, json.loads(data) if data[:1] in (b"{", b"[") else data.decode()

    def api(self, method: str, url: str, body: Any = None, content_type: str = "application/json") -> Any:
        """The body of an answer that must be good."""
        status, answer = self.request(method, url, body, content_type)
        assert status < 300, f"{method} {url}: {status} {answer}"
        return answer

    def apply(self, document: dict[str, Any]) -> dict[str, Any]:
        meta = document["metadata"]
        url = path(document["kind"], meta["name"], meta.get("namespace", "default")) + "?fieldManager=test"
        answer: dict[str, Any] = self.api("PATCH", url, document, "application/apply-patch+json")
        return answer

    def get(self, kind: str, name: str, namespace: str = "default") -> dict[str, Any] | None:
        status, answer = self.request("GET", path(kind, name, namespace))
        return answer if status == 200 else None

    def status(self, name: str) -> dict[str, Any]:
        """A container's status; empty when there is none."""
        found = self.get("Container", name)
        return found["status"] if found else {}

    def delete(self, kind: str, name: str, namespace: str = "default") -> None:
        self.api("DELETE", path(kind, name, namespace))

    def wait_ready_container(self, name: str, timeout: float = 20.0) -> dict[str, Any]:
        """The container's status once it is Ready."""

        def ready() -> dict[str, Any] | None:
            status = self.status(name)
            return status if condition(status, "Ready") == "True" else None

        try:
            found = wait.until(ready, timeout, f"container {name} to be ready")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{json.dumps(self.status(name), indent=1)}\n{self.tail()}") from None
        assert found is not None
        return found

    def wait_gone(self, kind: str, name: str, timeout: float = 20.0) -> None:
        wait.until(lambda: self.get(kind, name) is None, timeout, f"{kind} {name} to be gone")

    def cli(self, *words: str, input: str | None = None) -> subprocess.CompletedProcess[str]:
        command = [str(BIN / "pydock"), "-H", f"unix://{self.socket}", *words]
        if self._nursery is not None:
            return self._nursery.run(command, os.environ, input or "")
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            input=input,
            timeout=120,
        )


def path(kind: str, name: str, namespace: str = "default") -> str:
    """The URL path of an object."""
    plural = kind.lower() + "s"
    if kind == "Image":
        return f"/apis/pydock.dev/v1/{plural}/{name}"
    return f"/apis/pydock.dev/v1/namespaces/{namespace or 'default'}/{plural}/{name}"


def condition(status: Mapping[str, Any], type: str) -> str:
    """The status of one condition: True, False, Unknown, or empty."""
    return next((str(item["status"]) for item in status.get("conditions") or () if item["type"] == type), "")


def container(name: str, image: str, **spec: Any) -> dict[str, Any]:
    """A container's manifest; by default a process that sleeps and ends on SIGTERM at once."""
    spec.setdefault("command", ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done"])
    spec.setdefault("terminationGracePeriodSeconds", 1)
    return {
        "apiVersion": "pydock.dev/v1",
        "kind": "Container",
        "metadata": {"name": name},
        "spec": {"image": image, **spec},
    }
