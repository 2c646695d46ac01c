"""A running daemon: signals, its API process, and containers that outlive it."""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.engine.table import steps
from reconciler.jobs import table
from reconciler.testing import wait
from reconciler.testing.daemon import BIN, Connection, Pydockd, container

pytestmark = pytest.mark.installed
MANY = 30


def pids(host: Pydockd) -> dict[str, tuple[int, int]]:
    """name → pid and restart count of every container."""
    items = host.api("GET", "/apis/pydock.dev/v1/containers")["items"]
    return {item["metadata"]["name"]: (item["status"].get("pid", 0), item["status"]["restartCount"]) for item in items}


def all_run(host: Pydockd, count: int) -> dict[str, tuple[int, int]]:
    def found() -> dict[str, tuple[int, int]]:
        seen = pids(host)
        return seen if len(seen) == count and all(pid for pid, _ in seen.values()) else {}

    return wait.until(found, 60.0, f"{count} containers to run")


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}/cmdline").exists() and bool(Path(f"/proc/{pid}/cmdline").read_bytes())


def test_thirty_containers_outlive_every_kind_of_end(make_host: Callable[..., Pydockd], image: str) -> None:
    host = make_host()
    for number in range(MANY):
        (host.manifests / f"c{number}.json").write_text(json.dumps(container(f"c{number}", image)))
    before = all_run(host.start(), MANY)
    jobs = len(host.api("GET", "/apis/pydock.dev/v1/jobs?limit=1000")["items"])
    for number, status in ((signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGKILL, -9)):
        assert host.process is not None
        began = time.monotonic()
        host.process.send_signal(number)
        assert host.process.wait(20) == status
        assert time.monotonic() - began < 15
        assert all(alive(pid) for pid, _ in before.values())
        host.start()
        assert pids(host) == before
    assert len(host.api("GET", "/apis/pydock.dev/v1/jobs?limit=1000")["items"]) == jobs


def test_a_stop_does_not_wait_for_open_watches(make_host: Callable[..., Pydockd]) -> None:
    own = make_host().start()
    with contextlib.ExitStack() as closing:
        for _ in range(5):
            watching = closing.enter_context(contextlib.closing(Connection(own.socket)))
            watching.request("GET", "/apis/pydock.dev/v1/networks?watch=true")
            assert closing.enter_context(watching.getresponse()).status == 200
        began = time.monotonic()
        assert own.stop() == 0
        assert time.monotonic() - began < 5


def test_sighup_reads_what_no_event_told_of(host: Pydockd) -> None:
    """A write through a mapping moves the file's time, but inotify says nothing of it."""
    file = host.manifests / "hup.yaml"
    file.write_text("{apiVersion: pydock.dev/v1, kind: Network, metadata: {name: hup}, spec: {mtu: 1400}}\n")

    def mtu() -> object:
        return (host.get("Network", "hup") or {"spec": {}})["spec"].get("mtu")

    wait.until(lambda: mtu() == 1400, 10.0, "the network")
    with file.open("r+b") as opened, mmap.mmap(opened.fileno(), 0) as memory:
        at = memory.find(b"1400")
        memory[at : at + 4] = b"1300"
        memory.flush()
    os.utime(file)
    before = wait.until(lambda: mtu(), 5.0, "an answer")
    assert host.process is not None
    host.process.send_signal(signal.SIGHUP)
    wait.until(lambda: mtu() == 1300, 10.0, f"the rescan ({before})")


def test_sigquit_dumps_stacks_under_debug(host: Pydockd) -> None:
    assert host.process is not None
    host.process.send_signal(signal.SIGQUIT)
    wait.until(lambda: "Current thread" in host.tail(2000) and "in take" in host.tail(2000), 5.0, "the stacks")
    assert host.request("GET", "/healthz")[0] == 200


def test_sigquit_is_ignored_otherwise(make_host: Callable[..., Pydockd]) -> None:
    host = make_host()
    with host.log.open("ab") as log:
        host.process = subprocess.Popen(
            [str(BIN / "pydockd"), "--root", str(host.root), "--run-dir", str(host.run), "--instance", host.instance,
             "--manifests", str(host.manifests)], stderr=log,
        )  # fmt: skip
    host.wait_ready()
    for _ in range(3):
        host.process.send_signal(signal.SIGQUIT)
    host.process.send_signal(signal.SIGHUP)
    wait.until(lambda: "reloading" in host.tail(), 5.0, "what was sent after it")
    assert host.alive()
    assert "thread" not in host.tail().lower()
    assert host.stop() == 0


def children(host: Pydockd) -> list[int]:
    """The API's processes: arbiter and worker."""
    assert host.process is not None
    words = ["pgrep", "-P", str(host.process.pid), "-f", "reconciler.wsgi"]
    return [int(line) for line in subprocess.run(words, capture_output=True, text=True, check=False).stdout.split()]


def test_an_api_process_that_is_killed_comes_back_on_the_same_socket(host: Pydockd, image: str) -> None:
    host.apply(container("through", image))
    pid = host.wait_ready_container("through")["pid"]
    inode = os.stat(host.socket).st_ino
    (arbiter,) = children(host)
    os.kill(arbiter, signal.SIGKILL)
    document = container("meanwhile", image)
    (host.manifests / "meanwhile.json").write_text(json.dumps(document))
    # a worker of the dead one may still take a request with it; the socket itself never refuses
    wait.until(lambda: host.ready() and children(host) not in ([], [arbiter]), 10.0, "another API process")
    wait.until(lambda: host.status("meanwhile").get("phase") == "Running", 10.0, "what was asked for meanwhile")
    assert os.stat(host.socket).st_ino == inode
    assert host.status("through")["pid"] == pid


def test_commands_lists_every_handler(host: Pydockd) -> None:
    assert host.api("GET", "/commands")["commands"] == sorted({**table.handlers(), **steps()})


def test_conmons_get_nothing_of_systemds_sockets(make_host: Callable[..., Pydockd], image: str, tmp_path: Path) -> None:
    host = make_host()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        host.start(env={"NOTIFY_SOCKET": str(tmp_path / "notify"), "LISTEN_FDS": "0", "LISTEN_PID": "1"})
        host.apply(container("plain", image))
        pid = host.wait_ready_container("plain")["pid"]
        parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        for each in (pid, parent, *children(host)):
            environment = Path(f"/proc/{each}/environ").read_bytes()
            assert b"NOTIFY_SOCKET" not in environment
            assert b"LISTEN_" not in environment


@pytest.mark.parametrize("path", ["state.db", "pydockd.pid"])
def test_no_secret_of_the_daemon_is_for_others(host: Pydockd, path: str) -> None:
    found = (host.root if path == "state.db" else host.run) / path
    assert os.stat(found).st_uid == 0
    assert os.stat(found).st_mode & 0o022 == 0
