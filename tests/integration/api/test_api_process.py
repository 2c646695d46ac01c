"""The API process as the controller sees it: how it starts, what it may do, how it ends."""

from __future__ import annotations

import contextlib
import http.client
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from reconciler import errors
from reconciler.bootstrap import api
from reconciler.control import life, listeners
from reconciler.engine import front
from reconciler.engine.engine import Engine, Handler
from reconciler.engine.parts import Parts
from reconciler.testing import engine_api
from reconciler.testing.engine_api import UID, Served, children, served
from reconciler.testing.wait import until

NO_CAPABILITIES = "0000000000000000"


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def exists(pid: int) -> bool:
    try:
        return status(pid)["State"][0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_it_has_no_privileges(own: Served) -> None:
    (worker,) = children(own.process.pid)
    for pid in (own.process.pid, worker):
        found = status(pid)
        assert found["Uid"].split() == found["Gid"].split() == [str(UID)] * 4
        assert found["Groups"] == ""
        assert {found[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {NO_CAPABILITIES}
        assert found["NoNewPrivs"] == "1"
        # A process that is not dumpable has files that belong to root: nobody of its own user can attach to it.
        assert os.stat(f"/proc/{pid}/maps").st_uid == 0
        assert Path(f"/proc/{pid}/limits").read_text().split("Max core file size")[1].split()[0] == "0"


def test_it_gets_nothing_of_our_environment_and_no_other_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "GUNICORN_CMD_ARGS", "GUNICORN_PID", "SECRET"):
        monkeypatch.setenv(name, "1")
    canary = os.open("/etc/hostname", os.O_RDONLY)
    os.set_inheritable(canary, True)
    with served(tmp_path) as own:
        for pid in (own.process.pid, *children(own.process.pid)):
            environment = Path(f"/proc/{pid}/environ").read_bytes().decode()
            names = {line.partition("=")[0] for line in environment.split("\0")}
            assert not {name for name in names if name.startswith(("NOTIFY", "LISTEN", "GUNICORN", "SECRET"))}
            links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
            assert "/etc/hostname" not in links
            assert not [link for link in links if link.startswith("/work") or link.endswith(".db")]
    os.close(canary)


def test_it_is_ready_when_it_says_so(tmp_path: Path) -> None:
    listener = listeners.unix(str(tmp_path / "s"), "")
    before = time.monotonic()
    process = api.spawn_api([listener], UID, UID)
    with pytest.raises(errors.Temporary, match="within 0 s"):
        process.wait_ready(0)
    process.wait_ready(30)
    assert process.status is None
    assert time.monotonic() - before < 10
    process.stop()
    assert process.status == 0
    process.control.close()
    listener.close()


def test_a_start_that_fails_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    process = api.spawn_api([listener], UID, UID)
    with pytest.raises(errors.Permanent, match="ended as it started"):
        process.wait_ready(30)
    assert process.status != 0
    process.control.close()
    listener.close()
    assert "Error" in capfd.readouterr().err


def test_the_socket_stays_ours(tmp_path: Path) -> None:
    listener = listeners.unix(str(tmp_path / "s"), "daemon")
    before = os.stat(tmp_path / "s")
    assert (before.st_mode & 0o777, before.st_uid) == (0o660, 0)
    for _ in range(2):
        process = api.spawn_api([listener], UID, UID)
        process.wait_ready(30)
        process.stop()
        process.control.close()
    after = os.stat(tmp_path / "s")
    assert (after.st_ino, after.st_mode, after.st_gid) == (before.st_ino, before.st_mode, before.st_gid)
    # A client that comes between two processes waits for the next.
    client = engine_api.raw(str(tmp_path / "s"))
    client.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
    process = api.spawn_api([listener], UID, UID)
    assert client.recv(100).startswith(b"HTTP/1.0 200 OK")
    client.close()
    process.stop()
    process.control.close()
    listener.close()


def test_it_listens_on_several_sockets(tmp_path: Path) -> None:
    sockets = [listeners.unix(str(tmp_path / name), "") for name in ("a", "b")]
    process = api.spawn_api(sockets, UID, UID)
    process.wait_ready(30)
    for name in ("a", "b"):
        client = engine_api.raw(str(tmp_path / name))
        client.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.0 200")
        client.close()
    process.stop()
    process.control.close()
    for listener in sockets:
        listener.close()


def test_a_worker_that_dies_is_replaced(own: Served) -> None:
    (worker,) = children(own.process.pid)
    os.kill(worker, signal.SIGKILL)
    until(lambda: children(own.process.pid) not in ([], [worker]), what="another worker")
    own.engine.put("Container", "default", "web")
    assert own.ask("GET", "/apis/pydock.dev/v1/namespaces/default/containers/web").code == 200
    assert own.process.status is None


def test_its_end_is_told_whatever_ended_it(tmp_path: Path) -> None:
    listener = listeners.unix(str(tmp_path / "s"), "")
    ends: list[int] = []
    gone = threading.Event()
    process = api.spawn_api([listener], UID, UID, on_exit=ends.append)
    engine = engine_api.FakeEngine()
    server = engine.serve(process.control, on_gone=gone.set)
    process.wait_ready(30)
    (worker,) = children(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait_ended(10)
    assert gone.wait(10)
    until(lambda: ends, what="the call")
    assert ends == [-signal.SIGKILL]
    until(lambda: not exists(worker), what="the worker to die with it")
    server.close()
    listener.close()


def test_blocked_signals_of_the_controller_do_not_keep_it_alive(tmp_path: Path) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT})
    try:
        with served(tmp_path) as own:
            begun = time.monotonic()
            own.process.stop(grace=30)
            assert own.process.status == 0
            assert time.monotonic() - begun < 5
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_signals_that_would_change_gunicorn_do_nothing(own: Served) -> None:
    before = children(own.process.pid)
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTTIN, signal.SIGTTOU, signal.SIGWINCH):
        os.kill(own.process.pid, number)
    assert own.ask("GET", "/livez").code == 200
    assert children(own.process.pid) == before


PARENT = """
import os, sys, time
from reconciler.bootstrap import api
from reconciler.control import life, listeners
from reconciler.engine import front
from reconciler.engine.engine import Engine, Handler
from reconciler.engine.parts import Parts
listener = listeners.unix(sys.argv[1], "")
process = api.spawn_api([listener], 65534, 65534)
process.wait_ready(30)
print(process.pid, flush=True)
time.sleep(300)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_dies_with_its_parent(tmp_path: Path, number: int) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path / "s")], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    arbiter = int(parent.stdout.readline())
    (worker,) = children(arbiter)
    client = engine_api.raw(str(tmp_path / "s"))
    client.sendall(b"GET /apis/pydock.dev/v1/containers?watch=true HTTP/1.1\r\nHost: localhost\r\n\r\n")
    parent.send_signal(number)
    parent.wait()
    until(lambda: not exists(arbiter) and not exists(worker), timeout=10, what="the API process to end")
    parent.stdout.close()
    client.close()


def test_the_end_of_the_engine_socket_ends_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    listener = listeners.unix(str(tmp_path / "s"), "")
    process = api.spawn_api([listener], UID, UID)
    process.wait_ready(30)
    # Also when requests lie unread in it.
    client = engine_api.raw(str(tmp_path / "s"))
    client.sendall(b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert select.select([process.control], [], [], 10)[0]
    process.control.close()
    assert process.wait_ended(10)
    assert process.status == 0
    assert client.recv(100).startswith(b"HTTP/1.1 503")
    client.close()
    listener.close()
    assert "Traceback" not in capfd.readouterr().err


def test_memory_and_idle_time(own: Served) -> None:
    """Both processes together; the bounds are above what was measured (33 MiB fresh, 36 after work) so that they
    catch leaps."""
    pids = [own.process.pid, *children(own.process.pid)]
    fresh = engine_api.proportional_memory(pids)
    own.engine.put("Container", "default", "web")
    for _ in range(100):
        assert own.ask("GET", "/apis/pydock.dev/v1/containers").code == 200
    used = engine_api.proportional_memory(pids)
    print(f"API processes: {fresh} KiB fresh, {used} KiB after 100 requests")
    assert fresh < 38_000
    assert used < 42_000
    before = engine_api.processor_seconds(pids)
    begun = time.monotonic()
    until(lambda: time.monotonic() - begun > 3, what="idle time")
    assert engine_api.processor_seconds(pids) - before <= 0.02


def test_one_that_its_own_user_stops_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped processes hold their sockets and end at nothing but SIGKILL."""
    monkeypatch.setattr(life, "_PULSE", 0.2)
    path = str(tmp_path / "api.sock")
    listener = listeners.unix(path, "")
    spawned: list[api.ApiProcess] = []

    def spawn() -> api.ApiProcess:
        spawned.append(api.spawn_api([listener], UID, UID))
        return spawned[-1]

    keeper = life.Api(spawn, [path])
    engine = Engine(cast(Parts, SimpleNamespace(store=None)), {"ping": Handler(lambda parts, job: {"ready": True})})
    try:
        keeper.open(front.Front(engine))
        keeper.wait_ready(30.0)
        assert healthy(path)
        stopped = [spawned[0].pid, *children(spawned[0].pid)]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        until(lambda: len(spawned) > 1, 30.0, "another process")
        until(lambda: healthy(path), 30.0, "it to answer")
        assert not [pid for pid in stopped if exists(pid)]
    finally:
        keeper.close(5.0)
        listener.close()


def healthy(path: str) -> bool:
    with contextlib.closing(engine_api.Connection(path, 5.0)) as connection:
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
