"""Starting the daemon: what it refuses, in which words, and where it listens."""

from __future__ import annotations

import contextlib
import grp
import os
import select
import socket
import stat
import subprocess
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from reconciler.testing import wait
from reconciler.testing.daemon import BIN, Connection, Pydockd

pytestmark = pytest.mark.installed
PYDOCKD = str(BIN / "pydockd")


def run(*words: str, before: Sequence[str] = (), **environment: str) -> subprocess.CompletedProcess[str]:
    """The command, behind another that starts it, to its end: it must refuse to start."""
    command = [*before, PYDOCKD, *words]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=20, env=os.environ | environment, cwd="/", check=False
    )


@pytest.fixture
def flags(tmp_path: Path) -> list[str]:
    """Directories of its own; nothing runs there."""
    return [
        "--root", f"{tmp_path}/root", "--run-dir", f"{tmp_path}/run", "--manifests", f"{tmp_path}/manifests",
        "--instance", "t" + os.urandom(4).hex(),
    ]  # fmt: skip


def refused(done: subprocess.CompletedProcess[str], status: int, *words: str) -> None:
    """One sentence that names what is wrong; never a traceback."""
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
    assert done.stderr.splitlines()[-1].startswith("pydockd: ")


def test_only_root(flags: list[str], tmp_path: Path) -> None:
    refused(run(*flags, before=["unshare", "--user"]), 1, "must run as root")
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-H", "tcp://127.0.0.1:2376"], "tcp:// needs TLS with client certificates"),
        (["-H", "127.0.0.1:80"], "expected unix:///ABSOLUTE/PATH or fd://"),
        (["serve"], "unrecognized arguments: serve"),
        (["--instance", "Not Good"], "instance name 'Not Good'"),
        (["--root", "relative"], "expected an absolute path"),
        (["--resync", "0"], "expected a number of seconds above 0"),
        (["--config", "/nowhere.toml"], "/nowhere.toml: no such file"),
        (["--deb"], "unrecognized arguments: --deb"),
        (["--storage-driver", "devicemapper"], "storage driver 'devicemapper' is retired: its successor is 'overlay'"),
        (
            ["--storage-opt", "dm.fs=xfs"],
            "storage option 'dm.fs=xfs': expected KEY=VALUE with a key out of max-layer-bytes",
        ),
    ],
)
def test_a_wrong_command_line(flags: list[str], words: list[str], said: str) -> None:
    refused(run(*flags, *words), 2, said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("instance = [", "config.toml"),
        ("colour = 'red'", "colour"),
        ("workers = 'many'", "workers"),
        ("\0", "config.toml"),
    ],
)
def test_a_wrong_configuration(flags: list[str], tmp_path: Path, text: str, said: str) -> None:
    config = tmp_path / "config.toml"
    config.write_text(text)
    refused(run(*flags, "--config", str(config)), 2, said)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--group", "no-such-group"], "--group no-such-group: no such group"),
        (["--api-user", "no-such-user"], "--api-user no-such-user: no such user"),
        (["--exec-runtime", "/nowhere/runc"], "/nowhere/runc"),
        (["-H", "fd://"], "no sockets were passed"),
    ],
)
def test_what_this_host_has_not(flags: list[str], words: list[str], said: str, tmp_path: Path) -> None:
    refused(run(*flags, *words), 1, said)
    assert not list((tmp_path / "run").rglob("*.sock"))


def test_sockets_meant_for_another_process(flags: list[str]) -> None:
    refused(run(*flags, "-H", "fd://", LISTEN_FDS="1", LISTEN_PID="1"), 1, "no sockets were passed")


@pytest.mark.parametrize("damage", [b"not a database, surely", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_database(flags: list[str], tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "state.db").write_bytes(damage)
    refused(run(*flags), 1, "state.db")
    assert (tmp_path / "root" / "state.db").read_bytes() == damage


def test_print_config_is_a_configuration(flags: list[str], tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("resync = 7.5\ngroup = 'adm'\n")
    done = run(*flags, "--config", str(config), "--print-config", "-H", "fd://")
    assert done.returncode == 0
    shown = tomllib.loads(done.stdout)
    assert (shown["resync"], shown["group"], shown["hosts"]) == (7.5, "adm", ["fd://"])
    assert not (tmp_path / "root").exists()
    config.write_text(done.stdout)
    assert run("--config", str(config), "--print-config").stdout == done.stdout


@pytest.fixture
def running(make_host: Callable[..., Pydockd]) -> Pydockd:
    return make_host().start()


def test_a_second_daemon_on_the_same_directories(running: Pydockd, tmp_path: Path) -> None:
    assert running.process is not None
    other = ["--instance", "t" + os.urandom(4).hex(), "--manifests", str(running.manifests)]
    same_run = ["--root", f"{tmp_path}/other", "--run-dir", str(running.run)]
    refused(run(*other, *same_run), 1, "another pydockd", str(running.process.pid))
    aside = ["--pidfile", f"{tmp_path}/own.pid", "-H", f"unix://{tmp_path}/own.sock"]
    refused(run(*other, *same_run, *aside), 1, "another pydockd", str(running.process.pid))
    same_root = ["--root", str(running.root), "--run-dir", f"{tmp_path}/other-run"]
    refused(run(*other, *same_root), 1, "state.db is in use by process", str(running.process.pid))
    same_name = ["--instance", running.instance, "--root", f"{tmp_path}/other", "--run-dir", f"{tmp_path}/other-run"]
    refused(run(*same_name), 1, f"another --instance than {running.instance}", str(running.process.pid))
    assert running.ready()
    assert (running.run / "pydockd.pid").read_text() == f"{running.process.pid}\n"


def test_a_socket_that_another_listens_on(flags: list[str], tmp_path: Path) -> None:
    path = tmp_path / "taken.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        refused(run(*flags, "-H", f"unix://{path}"), 1, str(path), "another process listens there")
    assert path.is_socket()
    path.unlink()
    path.write_text("precious")
    refused(run(*flags, "-H", f"unix://{path}"), 1, str(path), "a file that is not a socket")
    assert path.read_text() == "precious"


def test_several_sockets_a_group_and_a_pidfile(make_host: Callable[..., Pydockd], tmp_path: Path) -> None:
    host = make_host()
    second, pidfile = tmp_path / "deep" / "second.sock", tmp_path / "own.pid"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(tmp_path / "stale.sock"))
    stale.close()
    sockets = [host.socket, str(second), str(tmp_path / "stale.sock")]
    words = [word for path in sockets for word in ("-H", f"unix://{path}")]
    host.start(flags=[*words, "--group", "adm", "--pidfile", str(pidfile)])
    assert host.process is not None
    assert pidfile.read_text() == f"{host.process.pid}\n"
    for path in sockets:
        found = os.stat(path)
        assert stat.S_IMODE(found.st_mode) == 0o660
        assert (found.st_uid, found.st_gid) == (0, grp.getgrnam("adm").gr_gid)
        assert asked(path) == 200
    assert stat.S_IMODE(os.stat(host.root).st_mode) == 0o700
    assert host.stop() == 0
    assert not any(os.path.exists(path) for path in [*sockets, str(pidfile)])


def asked(path: str, url: str = "/healthz") -> int:
    connection = Connection(path)
    with contextlib.closing(connection):
        connection.request("GET", url)
        return connection.getresponse().status


@pytest.fixture
def notified(tmp_path: Path) -> Iterator[socket.socket]:
    """What systemd would listen on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(30)
        yield listener


def test_ready_is_told_when_requests_are_answered(
    make_host: Callable[..., Pydockd], notified: socket.socket, tmp_path: Path
) -> None:
    host = make_host()
    host.start(env={"NOTIFY_SOCKET": str(tmp_path / "notify")}, ready=False)
    assert notified.recv(4096) == b"READY=1"
    assert asked(host.socket) == 200
    assert "ready: instance" in host.tail()
    assert host.stop() == 0
    assert notified.recv(4096) == b"STOPPING=1"


def test_requests_that_come_while_it_loads_wait_and_are_answered(
    make_host: Callable[..., Pydockd], notified: socket.socket, tmp_path: Path
) -> None:
    host = make_host()
    for number in range(200):
        text = f"{{apiVersion: pydock.dev/v1, kind: Network, metadata: {{name: n{number}}}, spec: {{nothing: 1}}}}\n"
        (host.manifests / f"{number}.yaml").write_text(text)
    host.start(env={"NOTIFY_SOCKET": str(tmp_path / "notify")}, ready=False)
    wait.until(lambda: os.path.exists(host.socket), 20.0, "the socket")
    with contextlib.ExitStack() as closing:
        early = [closing.enter_context(contextlib.closing(Connection(host.socket))) for _ in range(20)]
        for connection in early:
            wait.until(lambda: connects(connection), 5.0, "a connection")  # noqa: B023
            connection.request("GET", "/apis/pydock.dev/v1/sources")
        assert not told(notified), "it was ready before anybody could ask"
        for connection in early:
            answer = connection.getresponse()
            assert answer.status == 200
            assert b"199.yaml" in answer.read()


def told(listener: socket.socket) -> bool:
    return bool(select.select([listener], [], [], 0)[0])


def connects(connection: Connection) -> bool:
    """Between its making and its listening a socket refuses."""
    try:
        connection.connect()
    except ConnectionRefusedError:
        connection.close()
        return False
    return True


def test_sockets_passed_by_systemd(make_host: Callable[..., Pydockd], tmp_path: Path) -> None:
    host = make_host()
    host.run.mkdir()
    with socket.socket(socket.AF_UNIX) as listener, host.log.open("ab") as log:
        listener.bind(host.socket)
        listener.listen()
        host.process = subprocess.Popen(
            ["bash", "-c", f'export LISTEN_PID=$$ LISTEN_FDS=1; exec "$0" "$@" 3<&{listener.fileno()}', PYDOCKD,
             "--root", str(host.root), "--run-dir", str(host.run), "--manifests", str(host.manifests),
             "--instance", host.instance, "-H", "fd://"],
            pass_fds=[listener.fileno()], stderr=log,
        )  # fmt: skip
        host.wait_ready()
        assert asked(host.socket, "/version") == 200
        assert host.stop() == 0
        assert os.path.exists(host.socket), "what systemd made is systemd's"
